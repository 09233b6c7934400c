"""The choices that lead from preferences to a document."""

from __future__ import annotations

from collections.abc import Iterator

from charter.collective.induction.ballots import MARGIN
from charter.errors import DataError
from charter.records import Record


class InduceConfig(Record, frozen=True):
    """Settings of an induction."""

    max_principles: int = 5
    held_out: float = 0.3
    """Share of the pairs that only the figures see."""
    seed: int = 0
    candidates: int = 40
    """Candidates that are tested on the training pairs, the most promising ones."""
    requests: int = 12
    """Requests to a proposing model, and"""
    pairs: int = 3
    """pairs that each shows."""
    margin: float = MARGIN
    """Distance of P(A better) from one half below which a principle is not relevant to a pair."""
    level: float = 0.05
    """Of the test on the held-out pairs."""

    def check(self) -> None:
        """Raise for the first setting that makes no sense.

        Raises:
            DataError: with the field.
        """
        for field, wrong, expected in self._problems():
            if wrong:
                problem = f"{field} {getattr(self, field)!r}"
                raise DataError(problem, field=field, expected=expected)

    def _problems(self) -> Iterator[tuple[str, bool, str]]:
        for field in ("held_out", "level"):
            yield field, not 0 < getattr(self, field) < 1, "above 0 and under 1"
        for field in ("max_principles", "candidates", "requests", "pairs"):
            yield field, getattr(self, field) < 1, "at least 1"
        yield "margin", not 0 <= self.margin < 0.5, "from 0, under 0.5"
