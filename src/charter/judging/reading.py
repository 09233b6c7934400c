"""What a judge says of one comparison under one principle, with what stands behind the number.

Owns the step from a judge's raw answer to a `Reading` that labels can be made of: whatever is not
a probability becomes an `Abstention` here, whichever judge it came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from charter.records import Abstention, Comparison, Judge, Record


class Reading(Record, frozen=True):
    """P(first-presented answer better), and where it comes from.

    Attributes:
        p: the probability.
        tokens: tokens generated for it.
        unread: samples, or members of a panel, that gave nothing that could be read.
        members: what every member of a panel said.
    """

    p: float
    tokens: int = 0
    unread: int = 0
    members: dict[str, float] = {}


Outcome = Reading | Abstention


@runtime_checkable
class DetailedJudge(Judge, Protocol):
    """A judge that can say more than a number."""

    def read(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[Outcome]]:
        """As `vote`, in full."""


def readings(
    judge: Judge, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
) -> list[list[Outcome]]:
    """Ask any judge, in full if it can; every number that comes out is a probability."""
    ask = judge.read if isinstance(judge, DetailedJudge) else judge.vote
    rows: Sequence[Sequence[float | Outcome]] = ask(comparisons, principles)
    return [
        [_checked(found, comparison, judge) for found in row]
        for comparison, row in zip(comparisons, rows, strict=True)
    ]


def plain(rows: Sequence[Sequence[Outcome]]) -> list[list[float | Abstention]]:
    """Readings as `records.Judge.vote` gives them."""
    return [[found.p if isinstance(found, Reading) else found for found in row] for row in rows]


def _checked(found: float | Outcome, comparison: Comparison, judge: Judge) -> Outcome:
    if isinstance(found, Abstention):
        return found
    reading = found if isinstance(found, Reading) else Reading(float(found))
    if 0.0 <= reading.p <= 1.0:  # not so for NaN
        return reading
    return Abstention(comparison.id, "not_a_probability", judge.identity, repr(reading.p))
