"""How the AI labels came out: consistency, biases, abstentions, and what their p is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from charter.report.charts import histogram
from charter.report.exhibit import Exhibit
from charter.report.figures import NOTHING, Shown, count, mapping_in, number_in, rate_in, shown_rate
from charter.report.files import StageFiles
from charter.report.reliability import reliability_of
from charter.report.tallies import LabelTally
from charter.statistics import wilson

_MOST_REASONS = 20


@dataclass(frozen=True, slots=True)
class Labels:
    """The section. Rates come from the manifest, so an unfinished stage has none yet."""

    n: str
    abstained: Shown
    reasons: list[tuple[str, int]]
    position_consistency: Shown
    position_bias: Shown
    length_bias: Shown
    confidence: str
    judge: str
    about: list[tuple[str, str]]
    histogram: Exhibit | None
    reliability: Exhibit | None


def labels(stage: StageFiles, tally: LabelTally) -> Labels | None:
    """The section, or None if nothing was labelled."""
    if not tally.n:
        return None
    statistics = mapping_in(stage.notes, "statistics")
    about = mapping_in(stage.notes, "judge")
    confidence = number_in(statistics, "mean_confidence")
    return Labels(
        n=count(tally.n),
        abstained=shown_rate(wilson(tally.reasons.total(), tally.n)),
        reasons=tally.reasons.most_common(_MOST_REASONS),
        position_consistency=shown_rate(rate_in(statistics.get("position_consistency"))),
        position_bias=shown_rate(rate_in(statistics.get("position_bias"))),
        length_bias=shown_rate(rate_in(statistics.get("length_bias"))),
        confidence=NOTHING if confidence is None else f"{confidence:.2f}",
        judge=str(statistics.get("judge", "")),
        about=facts(about),
        histogram=_histogram(tally.histogram),
        reliability=reliability_of(
            statistics.get("calibration") or about.get("calibration"),
            "confidence of the judge",
            "how often it was right",
        ),
    )


def facts(notes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The plain entries among notes, for a list of terms; nested ones are left to the recipe."""
    kept = {k: v for k, v in notes.items() if isinstance(v, str | int | float) and v != ""}
    return [(name.replace("_", " "), _text(value)) for name, value in kept.items()]


def _histogram(counts: Sequence[int]) -> Exhibit | None:
    picture = histogram(counts, 0.0, 1.0, "probability that A is better")
    if not picture:
        return None
    rows = [(i / len(counts), (i + 1) / len(counts), n) for i, n in enumerate(counts)]
    return Exhibit("soft-labels", ("from", "to", "count"), [*rows], picture)


def _text(value: str | int | float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
