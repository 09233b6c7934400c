"""What a labelling run must be able to say of itself: consistency, biases, abstentions.

Pure functions over `Labelled` records, in one pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from charter.records import Labelled, Verdict
from charter.statistics import Rate, wilson


class LabelStatistics:
    """Counts gathered over labelled comparisons, one at a time."""

    def __init__(self) -> None:
        self.n = self.abstained = self.votes = 0
        self.unread = self.panels = 0
        self.consistent = self.locked = self.first = self.longer = self.unequal = 0.0
        self.spread = 0.0
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
        `position_locked`: votes in which the same place wins in both orders, so that the average
        says next to nothing.
        `position_bias`: readings, over both orders, in which the first-presented answer wins; .5
        is none. `length_bias`: verdicts in which the longer answer wins, equal lengths left out.
        `unread`: samples and panel members that gave nothing, in votes that were given all the
        same. `mean_spread`: standard deviation of a panel's opinions, mean over its votes; None
        without a panel.
        """
        return {
            "n": self.n,
            "abstained": self.abstained,
            "abstention_reasons": dict(self.reasons),
            "position_consistency": wilson(self.consistent, self.votes),
            "position_locked": wilson(self.locked, self.votes),
            "position_bias": wilson(self.first / 2, self.votes),
            "length_bias": wilson(self.longer, int(self.unequal)),
            "mean_confidence": self.confidence / max(1, self.n - self.abstained),
            "unread": self.unread,
            "mean_spread": self.spread / self.panels if self.panels else None,
        }

    def _count_orders(self, verdict: Verdict) -> None:
        for vote in verdict.votes:
            self.votes += 1
            given, swapped = vote.p_as_given - 0.5, vote.p_swapped - 0.5
            self.consistent += 1.0 if given * swapped > 0 or given == swapped else 0.0
            self.locked += 1.0 if given * swapped < 0 else 0.0
            # In the swapped order the first-presented answer is B.
            self.first += _win(given) + _win(-swapped)
            self.unread += vote.unread
            self.panels += bool(vote.members)
            self.spread += vote.spread

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


def lines(summary: Mapping[str, Any]) -> list[str]:
    """The figures for people, a line each; rates with interval and n.

    Args:
        summary: `LabelStatistics.summary`, also as read back from a manifest, with or without
            `self_preference`.
    """
    n, abstained = int(summary["n"]), int(summary["abstained"])
    reasons = ", ".join(f"{why} {k}" for why, k in sorted(summary["abstention_reasons"].items()))
    found = [f"labels: {n}, abstained {abstained}" + (f" ({reasons})" if reasons else "")]
    for name, meaning in _SHOWN.items():
        rate = summary.get(name)
        if rate is not None:
            found.append(f"{name.replace('_', ' ')}: {_shown(rate)} ({meaning})")
    if summary.get("unread"):
        found.append(f"samples or panel members that gave nothing: {summary['unread']}")
    if summary.get("mean_spread") is not None:
        found.append(f"spread of the panel: {summary['mean_spread']:.3f} (standard deviation)")
    return found


_SHOWN = {
    "position_consistency": "same answer in both orders",
    "position_locked": "same place in both orders",
    "position_bias": "first place wins; 50 % is none",
    "length_bias": "longer answer wins",
    "self_preference": "answer wins that the judge's model finds more likely",
}


def _shown(rate: Any) -> str:
    found = rate if isinstance(rate, Rate) else msgspec.convert(rate, Rate)
    if not found.n:
        return "nothing to count"
    value, low, high = (f"{100 * x:.0f}" for x in (found.value, found.low, found.high))
    return f"{value} % [{low}, {high}] of {found.n}"


def _win(margin: float) -> float:
    return 0.5 if margin == 0 else float(margin > 0)
