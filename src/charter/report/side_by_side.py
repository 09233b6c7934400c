"""What each run measured, beside the others: a line a measure and model, and a chart a measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from charter.report.charts import ForestRow, forest
from charter.report.exhibit import Exhibit, slug
from charter.report.figures import count, one
from charter.report.files import Figure, RunFiles
from charter.report.headline import interval_of, spread_of
from charter.report.metrics import (
    METRICS,
    MODELS,
    PART,
    Metric,
    full_title,
    metric_of,
    model_name,
    model_style,
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of one run; `sort` is its value as a number."""

    value: str
    interval: str
    n: str
    unscored: int
    sort: float | None


@dataclass(frozen=True, slots=True)
class Line:
    """One measure of one model, in every run; None where a run has no such figure."""

    title: str
    metric: Metric
    model: str
    cells: list[Cell | None]


def lines(runs: Mapping[str, RunFiles]) -> list[Line]:
    """Every measure of every model, a cell a run."""
    tables = [{(f.metric, f.model): f for f in _figures(files)} for files in runs.values()]
    keys = dict.fromkeys(key for table in tables for key in table)
    metrics, models = [*METRICS], [*MODELS]
    order = sorted(keys, key=lambda k: (_place(k[0], metrics), _place(k[1], models)))
    return [
        Line(
            full_title(metric),
            metric_of(metric),
            model_name(model),
            [_cell(t.get((metric, model))) for t in tables],
        )
        for metric, model in order
    ]


def forests(runs: Mapping[str, RunFiles]) -> list[tuple[Metric, Exhibit]]:
    """For each measure that every run has: all runs and models on one axis. Parts are left out."""
    figures = [(label, figure) for label, files in runs.items() for figure in _figures(files)]
    found = []
    for name, metric in METRICS.items():
        own = [(label, f) for label, f in figures if f.metric == name and f.value is not None]
        whole = not metric.title.startswith(PART)
        if whole and len({label for label, _ in own}) == len(runs):
            own.sort(key=lambda pair: _place(pair[1].model, [*MODELS]))
            found.append((metric, _forest(metric, own)))
    return found


def measured(runs: Mapping[str, RunFiles]) -> Exhibit:
    """Every figure of every run as numbers."""
    rows = [
        (label, f.model, f.metric, f.value, f.low, f.high, f.n, f.unscored)
        for label, files in runs.items()
        for f in _figures(files)
    ]
    columns = ("run", "model", "metric", "value", "low", "high", "n", "unscored")
    return Exhibit("runs", columns, [*rows])


def _figures(files: RunFiles) -> tuple[Figure, ...]:
    return files.summary.measurements if files.summary is not None else ()


def _place(name: str, known: list[str]) -> tuple[int, str]:
    return (known.index(name), "") if name in known else (len(known), name)


def _cell(figure: Figure | None) -> Cell | None:
    if figure is None:
        return None
    scale = metric_of(figure.metric).scale
    return Cell(
        one(figure.value, scale, figure.n),
        interval_of(figure),
        count(figure.n),
        figure.unscored,
        figure.value,
    )


def _forest(metric: Metric, own: Sequence[tuple[str, Figure]]) -> Exhibit:
    spreads = [(label, f, s) for label, f in own if (s := spread_of(f)) is not None]
    rows = [
        ForestRow(f"{label} · {model_name(f.model)}", model_style(f.model), s)
        for label, f, s in spreads
    ]
    data = [(label, f.model, s.value, s.low, s.high, f.n) for label, f, s in spreads]
    picture = forest(rows, metric.title, share=metric.scale == "share")
    return Exhibit(
        slug(metric.title), ("run", "model", "value", "low", "high", "n"), [*data], picture
    )
