"""Several runs side by side: what each measured, what differs between their recipes.

Owns the rows of the comparison page. The paired differences come in: they need the definitions of
the metrics, which are the evaluation's business (`charter.contrast` joins the two).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from charter.records import Record
from charter.report.charts import ForestRow, forest
from charter.report.exhibit import Exhibit, slug
from charter.report.figures import NOTHING, count, mapping_in, one
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

_SURE = 0.05
_POINTS = 100
_ABSENT = "not set"
_PLACE = ("run",)
"""Settings that say where a run lies, not what it is."""


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
class RunColumn:
    """One run, as the page names it."""

    label: str
    path: str
    facts: list[tuple[str, str]]
    complete: bool


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


def column(label: str, files: RunFiles) -> RunColumn:
    """What a run says about itself."""
    recipe, constitution = files.recipe, files.constitution
    document = NOTHING
    if constitution is not None:
        document = f"{constitution.name} {constitution.version}, {constitution.digest}"
    given = [("Recipe", "name"), ("Model", "model"), ("Seed", "seed")]
    facts = [(title, str(recipe.get(key, NOTHING))) for title, key in given]
    return RunColumn(
        label, str(files.path), [*facts, ("Constitution", document)], files.summary is not None
    )


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


def paired_lines(paired: Sequence[Paired]) -> list[PairedLine]:
    """Differences in words: shares in points of percent, others in their own unit."""
    return [_paired_line(p) for p in paired]


def paired_data(paired: Sequence[Paired]) -> Exhibit:
    """Differences as numbers."""
    columns = Paired.__struct_fields__
    return Exhibit("paired-differences", columns, [msgspec.structs.astuple(p) for p in paired])


def recipe_differences(runs: Mapping[str, RunFiles]) -> list[tuple[str, list[str]]]:
    """Settings in which the runs differ, by dotted name, with each run's value."""
    flat = [_flat(files.recipe) for files in runs.values()]
    names = dict.fromkeys(name for recipe in flat for name in recipe if name not in _PLACE)
    rows = [(name, [recipe.get(name, _ABSENT) for recipe in flat]) for name in names]
    differ = [(name, values) for name, values in rows if len(set(values)) > 1]
    # What an older recipe did not have yet says less than a value that was changed.
    return sorted(differ, key=lambda row: _ABSENT in row[1])


def scorers_differ(runs: Mapping[str, RunFiles]) -> list[str]:
    """Scorers whose identity is not the same in all runs that name them."""
    named = [mapping_in(files.stage("evaluate").notes, "scorers") for files in runs.values()]
    roles = dict.fromkeys(role for scorers in named for role in scorers)
    return [role for role in roles if len({str(s[role]) for s in named if role in s}) > 1]


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


def _flat(tree: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Leaves by dotted name; a list is one leaf."""
    found: dict[str, str] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = value if isinstance(value, str) else _encoded(value)
    return found


def _encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()
