"""Paired differences between runs, as rows of the comparison page.

Owns their words and which of them may be chance. The differences come in: they need the definitions
of the metrics, which are the evaluation's business (`charter.contrast` joins the two).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from charter.records import Record
from charter.report.exhibit import Exhibit
from charter.report.figures import count
from charter.report.metrics import Metric, full_title, metric_of, model_name

_SURE = 0.05
_POINTS = 100


class Paired(Record, frozen=True):
    """A run's model against the first run's model of the same name, on the prompts of both.

    `apart` counts prompts that only one of the two runs has put to the model. `p` is two-sided,
    `p_adjusted` Holm's over all differences of the comparison.
    """

    metric: str
    model: str
    run: str
    reference: str
    value: float
    low: float
    high: float
    n: int
    unscored: int
    apart: int
    p: float
    p_adjusted: float = 1.0


@dataclass(frozen=True, slots=True)
class PairedLine:
    """A paired difference in words; `change` is better, worse or "" for what may be chance."""

    metric: str
    model: str
    run: str
    value: str
    interval: str
    n: str
    left_out: int
    p: str
    p_adjusted: str
    change: str
    sort: float


def paired_lines(paired: Sequence[Paired]) -> list[PairedLine]:
    """Differences in words: shares in points of percent, others in their own unit."""
    return [_paired_line(p) for p in paired]


def paired_data(paired: Sequence[Paired]) -> Exhibit:
    """Differences as numbers."""
    columns = Paired.__struct_fields__
    return Exhibit("paired-differences", columns, [msgspec.structs.astuple(p) for p in paired])


def _paired_line(p: Paired) -> PairedLine:
    metric = metric_of(p.metric)
    return PairedLine(
        full_title(p.metric),
        model_name(p.model),
        p.run,
        _gap(p.value, metric),
        f"{_gap(p.low, metric)} to {_gap(p.high, metric)}",
        count(p.n),
        p.unscored + p.apart,
        _p(p.p),
        _p(p.p_adjusted),
        _change(p, metric.better),
        p.value,
    )


def _gap(value: float, metric: Metric) -> str:
    shown = value * _POINTS if metric.scale == "share" else value
    text = f"{shown:+.1f}"
    return ("0.0" if float(text) == 0 else text).replace("-", "\u2212")


def _change(p: Paired, better: int) -> str:
    if not better or p.p_adjusted >= _SURE or p.value == 0:
        return ""
    return "better" if (p.value > 0) == (better > 0) else "worse"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
