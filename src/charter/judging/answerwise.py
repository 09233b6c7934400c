"""Judging answers one at a time: each gets a number by itself, and the difference decides.

Owns asking about each answer once however often it is compared, and turning a difference into a
probability. Position cannot matter. What the numbers are is for the reader (`rating`, `pointwise`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from charter.judging.menu import Unread
from charter.records import Abstention, Comparison, Message, digest

Exchange = tuple[tuple[Message, ...], str]
"""A conversation that ends with the user's turn, and one answer to it."""


class AnswerReader(Protocol):
    """Gives one answer a number under each of some principles."""

    @property
    def identity(self) -> str:
        """Name and revision."""

    def read(
        self, exchanges: Sequence[Exchange], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Unread]]:
        """For each answer, one number for each of its principles; higher is better."""


class AnswerwiseJudge:
    """Satisfies `records.Judge`: P(A better) = sigmoid((x_A - x_B) / temperature).

    Args:
        reader: gives each answer its x.
        temperature: in the units of x; fitted on labelled pairs.
    """

    def __init__(self, reader: AnswerReader, *, temperature: float = 1.0) -> None:
        self.reader, self.temperature = reader, temperature

    @property
    def identity(self) -> str:
        """The reader's, and the temperature if it is not 1."""
        tempered = "" if self.temperature == 1.0 else f"/T={digest(self.temperature, length=6)}"
        return f"{self.reader.identity}{tempered}"

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        """See `records.Judge`."""
        found = self._read_all(comparisons, principles)
        return [
            [
                self._p_first(c.id, found[c.prompt.messages, c.a][id], found[_second(c)][id])
                for id in ids
            ]
            for c, ids in zip(comparisons, principles, strict=True)
        ]

    def _read_all(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> dict[Exchange, dict[str, float | Unread]]:
        """Every answer under every principle asked of it; a swapped comparison costs nothing."""
        asked: dict[Exchange, dict[str, None]] = {}
        for comparison, ids in zip(comparisons, principles, strict=True):
            for exchange in ((comparison.prompt.messages, comparison.a), _second(comparison)):
                asked.setdefault(exchange, {}).update(dict.fromkeys(ids))
        found = read_answers(self.reader, list(asked), [list(ids) for ids in asked.values()])
        return {
            exchange: dict(zip(ids, row, strict=True))
            for (exchange, ids), row in zip(asked.items(), found, strict=True)
        }

    def _p_first(self, id: str, a: float | Unread, b: float | Unread) -> float | Abstention:
        for side in (a, b):
            if isinstance(side, Unread):
                return Abstention(id, side.reason, self.identity, side.detail)
        assert isinstance(a, float) and isinstance(b, float)
        return sigmoid((a - b) / self.temperature)


def read_answers(
    reader: AnswerReader, exchanges: Sequence[Exchange], principles: Sequence[Sequence[str]]
) -> list[list[float | Unread]]:
    """Read the answers that say something; an empty one is not rated."""
    full = [i for i, (_, answer) in enumerate(exchanges) if answer.strip()]
    rows = reader.read([exchanges[i] for i in full], [principles[i] for i in full])
    found = dict(zip(full, rows, strict=True))
    return [
        found[i] if i in found else [Unread("empty_answer") for _ in ids]
        for i, ids in enumerate(principles)
    ]


def sigmoid(x: float) -> float:
    """Logistic function, safe for any finite x."""
    return 1.0 / (1.0 + math.exp(-max(-500.0, min(500.0, x))))


def _second(comparison: Comparison) -> Exchange:
    return comparison.prompt.messages, comparison.b
