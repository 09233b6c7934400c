"""The one place through which every remote call goes, whoever the provider is.

Owns, for many calls at a time: asking the cache first, retries with full jitter, the per-attempt
timeout, the spend cap, noticing an outage, and keeping every answer the moment it arrives. Knows
nothing of prompts or JSON: a `Call` brings a function that makes one attempt.

What happens when something goes wrong:

    one call fails after its retries       that call's result is a `CallFailed`; the others go on
    the key, quota, model name is refused  no new attempt; calls under way are kept; `ModelError`
    the spend cap is reached               the same
    `give_up_after` calls failed in a row  the same: an outage must not become a run of failures
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from charter.cache import CallCache
from charter.errors import CallFailed, ModelError
from charter.models.batch import Batch, EndedError
from charter.models.endpoint import Address, EndpointConfig
from charter.models.failures import ENDS_RUN, OUTAGE, RETRIED, AttemptError, Usage
from charter.models.loop import LoopThread
from charter.models.routing import Router, Server
from charter.models.spend import Ledger
from charter.records import Completion

C = TypeVar("C")
T = TypeVar("T")
_NOTHING = Usage()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a successful attempt brought: anything msgspec can encode, and what it cost."""

    answer: Any
    paid: Usage
    pause_s: float = 0.0
    """Seconds until the server's allowance is filled again."""


@dataclass(frozen=True, slots=True)
class Call(Generic[C]):
    """One call: its key in the cache, its likely cost, and how one attempt is made."""

    key: str
    likely: Usage
    send: Callable[[C], Awaitable[Reply]]
    prefix: str = ""
    """Names the text that it begins with, if other calls do too; they go to one server."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How a call ended: an answer, a failure, or (neither) not at all, since the batch did."""

    answer: Any = None
    failure: CallFailed | None = None
    paid: Usage = _NOTHING


class Caller(Generic[C]):
    """Makes calls to one model.

    Args:
        address: the model.
        config: see `EndpointConfig`.
        clients: one for each of its URLs.
        ledger: what may be spent, shared with the run's other models.
        cache: where answers are kept; without one, nothing is.
        rng: source of the jitter.
    """

    def __init__(
        self,
        address: Address,
        config: EndpointConfig,
        clients: Sequence[C],
        *,
        ledger: Ledger,
        cache: CallCache | None = None,
        rng: random.Random | None = None,
    ) -> None:
        config.admit(address.model)
        self.address, self.config, self.ledger, self.cache = address, config, ledger, cache
        self._rng = rng or random.Random()
        self._router = Router(
            clients, config, jitter=lambda: self._rng.uniform(0, config.backoff_s)
        )
        self._loop = LoopThread(f"calls to {address.identity}")
        self._failed_in_a_row = 0

    @property
    def concurrency(self) -> int:
        """Calls under way at a time, over all servers."""
        return self.config.concurrency * len(self._router.servers)

    def run(self, calls: Sequence[Call[C]], type_: type[T]) -> list[T | CallFailed]:
        """One answer or failure a call, in order. Equal calls are made once.

        Args:
            calls: what to ask.
            type_: type of the answers, for reading them back.

        Raises:
            ModelError: the run must end (see above). All answers that were paid for are kept.
        """
        known = self.cache.get([call.key for call in calls]) if self.cache else {}
        found: dict[str, T | CallFailed] = {
            key: msgspec.json.decode(answer, type=type_) for key, answer in known.items()
        }
        found |= self._make({c.key: c for c in calls if c.key not in found})
        return [found[call.key] for call in calls]

    def texts(self, calls: Sequence[Call[C]]) -> list[Completion]:
        """`run` for calls for text: a failed one gives a completion that says why."""
        answers = self.run(calls, Completion)
        return [
            Completion("", 0, "error", a.reason) if isinstance(a, CallFailed) else a
            for a in answers
        ]

    def close(self, closing: Sequence[Callable[[], Awaitable[None]]] = ()) -> None:
        """End the thread; `closing` are awaited in it first."""
        self._loop.close(closing)

    def _make(self, calls: dict[str, Call[C]]) -> dict[str, Any]:
        """Make calls, and keep each answer as it arrives, in the thread of the asker."""
        batch, made = Batch(), {}
        waiting: dict[Future[_Outcome], str] = {
            self._loop.submit(self._outcome(call, batch)): key for key, call in calls.items()
        }
        try:
            for future in as_completed(waiting):
                outcome = future.result()
                self._keep(waiting[future], outcome)
                made[waiting[future]] = outcome.failure or outcome.answer
        finally:
            # Reached early by an interrupt only: what is still under way then is let go.
            for future in waiting:
                future.cancel()
        if batch.error is not None:
            raise batch.error
        return made

    def _keep(self, key: str, outcome: _Outcome) -> None:
        if self.cache is None or (outcome.paid == _NOTHING and outcome.answer is None):
            return
        answers = {} if outcome.answer is None else {key: msgspec.json.encode(outcome.answer)}
        paid = outcome.paid
        spent = (self.address.model, paid.read, paid.written)
        self.cache.put(answers, spent=spent, cached=paid.cached)

    async def _outcome(self, call: Call[C], batch: Batch) -> _Outcome:
        """A call with all of its attempts."""
        paid, tried = _NOTHING, list[Server[C]]()
        try:
            for attempt in range(self.config.retries + 1):
                try:
                    reply = await self._attempt(call, batch, tried)
                except AttemptError as failed:
                    paid += failed.paid
                    if failed.reason not in RETRIED or attempt == self.config.retries:
                        return _Outcome(failure=self._given_up(failed, batch), paid=paid)
                    await batch.sleep(self._backoff(attempt))
                else:
                    self._failed_in_a_row = 0
                    return _Outcome(reply.answer, paid=paid + reply.paid)
        except EndedError:
            pass
        except ModelError as error:
            batch.end(error)
        return _Outcome(paid=paid)

    async def _attempt(self, call: Call[C], batch: Batch, tried: list[Server[C]]) -> Reply:
        """One attempt, on one server, at a cost that is set aside before and settled after."""
        batch.go_on()
        async with self._router.lease(batch.sleep, tried, call.prefix) as server:
            tried.append(server)
            await self._reserve(call, batch)
            paid = _NOTHING
            try:
                reply = await self._timed(call, server)
                paid = reply.paid
            except AttemptError as failed:
                paid = failed.paid
                self._router.failed(server, failed)
                raise
            finally:
                self.ledger.settle(self.address.model, call.likely, paid)
            self._router.worked(server, reply.pause_s)
            return reply

    async def _timed(self, call: Call[C], server: Server[C]) -> Reply:
        try:
            async with asyncio.timeout(self.config.timeout_s):
                return await call.send(server.client)
        except TimeoutError as error:
            said = f"no whole answer within {self.config.timeout_s:g} s"
            # The server may have worked on it, and may bill it: count what it would have cost.
            raise AttemptError("timeout", said, paid=call.likely) from error

    async def _reserve(self, call: Call[C], batch: Batch) -> None:
        """Set the call's likely cost aside; near the cap, wait for calls under way to end."""
        batch.go_on()
        while not self.ledger.reserve(self.address.model, call.likely):
            await batch.sleep(0.02)

    def _backoff(self, attempt: int) -> float:
        """Full jitter: anything between no wait and the exponential one."""
        most = min(self.config.max_wait_s, self.config.backoff_s * 2.0**attempt)
        return self._rng.uniform(0.0, most)

    def _given_up(self, failed: AttemptError, batch: Batch) -> CallFailed:
        name = f"{self.address.provider}:{self.address.model}"
        if failed.reason in ENDS_RUN:
            meaning = ENDS_RUN[failed.reason]
            batch.end(ModelError(f"{name}: {meaning} ({failed.reason}: {failed.detail})"))
        if failed.reason in OUTAGE:
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= self.config.give_up_after:
                self._failed_in_a_row = 0
                batch.end(ModelError(self._outage(name, failed)))
        return CallFailed(failed.reason, failed.detail)

    def _outage(self, name: str, failed: AttemptError) -> str:
        return (
            f"{name}: {self.config.give_up_after} calls in a row failed after "
            f"{self.config.retries} retries each; the last one: {failed.reason}: {failed.detail}. "
            "Every answer that came is kept: run again to go on"
        )
