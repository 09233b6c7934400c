"""Rewards as every optimiser takes them: texts in, numbers out, or `None` where there is none.

Owns adding several rewards up without losing what each of them paid. Knows no judge and no model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from charter.records import Message

Reward = Callable[[list[tuple[Message, ...]], list[str]], list[float | None]]
"""Conversations and answers in, one reward (or `None`) each out."""
_ONLY = "reward"


@dataclass(frozen=True, slots=True)
class Paid:
    """What one answer is paid, and by whom; without a total it is left out of learning."""

    total: float | None
    parts: dict[str, float | None]


class WeightedReward:
    """A sum of rewards. Satisfies `Reward`.

    Args:
        parts: reward and weight by name. Where a part with a weight other than 0 has nothing to
            say, the sum has not either.
    """

    def __init__(self, parts: Mapping[str, tuple[float, Reward]]) -> None:
        assert parts
        self.parts = dict(parts)

    def pay(self, conversations: list[tuple[Message, ...]], answers: list[str]) -> list[Paid]:
        """Total and unweighted parts of each answer."""
        columns = {name: ask(conversations, answers) for name, (_, ask) in self.parts.items()}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return [Paid(self._total(row), row) for row in rows]

    def __call__(
        self, conversations: list[tuple[Message, ...]], answers: list[str]
    ) -> list[float | None]:
        """Totals alone."""
        return [paid.total for paid in self.pay(conversations, answers)]

    def _total(self, row: Mapping[str, float | None]) -> float | None:
        total = 0.0
        for name, (weight, _) in self.parts.items():
            value = row[name]
            if weight and value is None:
                return None
            total += weight * (value or 0.0)
        return total


def pay(reward: Reward, conversations: list[tuple[Message, ...]], answers: list[str]) -> list[Paid]:
    """What a reward pays, in parts if it has any."""
    if isinstance(reward, WeightedReward):
        return reward.pay(conversations, answers)
    values = reward(conversations, answers)
    assert len(values) == len(answers), "a reward gives one number an answer"
    return [Paid(value, {_ONLY: value}) for value in values]


def words(conversations: list[tuple[Message, ...]], answers: list[str]) -> list[float | None]:
    """Length of each answer in words: with a small negative weight, a price on rambling."""
    return [float(len(answer.split())) for answer in answers]
