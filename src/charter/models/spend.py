"""What remote calls have cost, and whether one more may be made.

Owns the caps of a recipe, over all remote models of a run and over its resumptions. A call is
counted at its likely cost while it is under way and at its true cost afterwards, so calls that
run side by side do not overshoot together: by more than the error of those estimates, that is.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence

from charter.errors import ModelError
from charter.models.endpoint import EndpointConfig, Price
from charter.models.failures import Usage
from charter.models.vllm_config import in_process
from charter.records import Message, Record

_MILLION = 1_000_000
_CHARS_PER_TOKEN, _TOKENS_PER_MESSAGE = 4, 8
"""Usual for English text and chat formats; a guess that is replaced by the server's count."""


def likely_tokens(messages: Sequence[Message], max_tokens: int) -> Usage:
    """Tokens that a call will probably read, and the most that it can write."""
    chars = sum(len(m.content) for m in messages)
    read = chars // _CHARS_PER_TOKEN + _TOKENS_PER_MESSAGE * len(messages)
    return Usage(read, max_tokens)


class Spend(Record, frozen=True):
    """What one remote model has cost in tokens, as a run's summary tells it."""

    read: int
    written: int
    cached: int | None = None
    """Tokens of `read` that servers found in their prefix cache; `None`: none has ever said.

    A server that tells hits may leave a miss out (vLLM does), so once a model's servers have told
    any, an answer without the figure counts as a miss.
    """
    hit_rate: float | None = None
    """`cached / read`: counted, not estimated. A lower bound where some servers tell nothing."""


def spend(read: int, written: int, cached: int | None = None) -> Spend:
    """The tokens of one model, with the share that came from a prefix cache."""
    told = cached is not None and read > 0
    return Spend(read, written, cached, cached / read if told and cached is not None else None)


class Ledger:
    """Tokens spent by model. Several models, each with a thread of its own, share one.

    Args:
        config: caps and prices.
        spent: what earlier runs of the same folder have paid, by model.
    """

    def __init__(
        self, config: EndpointConfig, spent: Mapping[str, tuple[int, int]] | None = None
    ) -> None:
        self.config, self._lock = config, threading.Lock()
        self._paid: defaultdict[str, Usage] = defaultdict(Usage)
        # What runs on this machine is told in a run's summary, and is not paid for by the token.
        paid = {m: Usage(*tokens) for m, tokens in (spent or {}).items() if not in_process(m)}
        self._paid.update(paid)
        self._open: list[tuple[str, Usage]] = []

    def reserve(self, model: str, likely: Usage) -> bool:
        """Set a call's likely cost aside; False if calls under way must end first.

        Raises:
            ModelError: it would pass a cap, and nothing is under way that could leave room.
        """
        with self._lock:
            entry = (model, likely)
            if self._within([*self._paid.items(), *self._open, entry]):
                self._open.append(entry)
                return True
            if self._open:
                return False
            raise ModelError(self._verdict())

    def settle(self, model: str, likely: Usage, paid: Usage) -> None:
        """Replace what was set aside by what was paid."""
        with self._lock:
            self._open.remove((model, likely))
            self._paid[model] += paid

    def tokens(self) -> int:
        """Tokens paid for so far, read and written, all models together."""
        return _tokens(list(self._paid.items()))

    def money(self) -> float:
        """What they cost, by the recipe's prices; a model without a price counts nothing."""
        return self._money(list(self._paid.items()))

    def _within(self, entries: list[tuple[str, Usage]]) -> bool:
        most, money = self.config.max_tokens_spent, self.config.max_money
        if most is not None and _tokens(entries) > most:
            return False
        return money is None or self._money(entries) <= money

    def _money(self, entries: list[tuple[str, Usage]]) -> float:
        free = Price(0.0, 0.0)
        prices = [(self.config.prices.get(model, free), usage) for model, usage in entries]
        return sum(p.input * u.read + p.output * u.written for p, u in prices) / _MILLION

    def _verdict(self) -> str:
        caps = {"max_tokens_spent": f"{self.tokens()} tokens", "max_money": f"{self.money():.4f}"}
        said = [
            f"{spent} of endpoint.{name}={getattr(self.config, name)}"
            for name, spent in caps.items()
            if getattr(self.config, name) is not None
        ]
        return (
            f"the spend cap is reached: {', '.join(said)}, and the next call would pass it. "
            "Every answer paid for is kept: raise the cap and run again to go on"
        )


def _tokens(entries: list[tuple[str, Usage]]) -> int:
    return sum(usage.read + usage.written for _, usage in entries)
