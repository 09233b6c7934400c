"""What a labelling run must be able to say of itself: consistency, biases, abstentions.

Pure functions over `Labelled` records, in one pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from charter.records import Labelled, Verdict
from charter.statistics import wilson


class LabelStatistics:
    """Counts gathered over labelled comparisons, one at a time."""

    def __init__(self) -> None:
        self.n = self.abstained = self.votes = 0
        self.consistent = self.first = self.longer = self.unequal = 0.0
        self.confidence = 0.0
        self.reasons: Counter[str] = Counter()

    def add(self, labelled: Labelled) -> None:
        """Count one record."""
        self.n += 1
        if not isinstance(labelled.label, Verdict):
            self.abstained += 1
            self.reasons[labelled.label.reason] += 1
            return
        self.confidence += abs(labelled.label.p_a - 0.5)
        self._count_orders(labelled.label)
        self._count_length(labelled)

    def summary(self) -> dict[str, Any]:
        """JSON-ready figures.

        `position_consistency`: votes whose preferred answer is the same in both orders.
        `position_bias`: readings, over both orders, in which the first-presented answer wins; .5
        is none. `length_bias`: verdicts in which the longer answer wins, equal lengths left out.
        """
        return {
            "n": self.n,
            "abstained": self.abstained,
            "abstention_reasons": dict(self.reasons),
            "position_consistency": wilson(self.consistent, self.votes),
            "position_bias": wilson(self.first / 2, self.votes),
            "length_bias": wilson(self.longer, int(self.unequal)),
            "mean_confidence": self.confidence / max(1, self.n - self.abstained),
        }

    def _count_orders(self, verdict: Verdict) -> None:
        for vote in verdict.votes:
            self.votes += 1
            given, swapped = vote.p_as_given - 0.5, vote.p_swapped - 0.5
            self.consistent += 1.0 if given * swapped > 0 or given == swapped else 0.0
            # In the swapped order the first-presented answer is B.
            self.first += _win(given) + _win(-swapped)

    def _count_length(self, labelled: Labelled) -> None:
        assert isinstance(labelled.label, Verdict)
        gap = len(labelled.comparison.a) - len(labelled.comparison.b)
        if gap:
            self.unequal += 1
            margin = labelled.label.p_a - 0.5
            self.longer += _win(margin if gap > 0 else -margin)


def label_statistics(records: Iterable[Labelled]) -> dict[str, Any]:
    """Statistics of a whole labelling run; see `LabelStatistics.summary`."""
    statistics = LabelStatistics()
    for record in records:
        statistics.add(record)
    return statistics.summary()


def _win(margin: float) -> float:
    return 0.5 if margin == 0 else float(margin > 0)
