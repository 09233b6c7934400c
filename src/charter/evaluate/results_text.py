"""One figure as a person reads it: a percentage for a share, a number for the rest."""

from __future__ import annotations

from charter.records import Measurement

_NUMBERS = ("mean_", "log_", "perplexity", "elo_", "bias_score")


def cell(m: Measurement | None) -> str:
    """Value, interval, n and the unscored; a dash where nothing was measured."""
    if m is None or (not m.n and not m.unscored):
        return "-"
    numbers = m.metric.startswith(_NUMBERS)
    values = (f"{x:.2f}" if numbers else f"{100 * x:.0f}" for x in (m.value, m.low, m.high))
    value, low, high = values
    unscored = f" +{m.unscored}" if m.unscored else ""
    return f"{value}{'' if numbers else '%'} [{low}, {high}] {m.n}{unscored}"
