"""The headline: the models in one table, and in one plane of harmlessness against helpfulness."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from charter.report.charts import PlanePoint, Spread, interval_strip, plane
from charter.report.exhibit import Exhibit
from charter.report.figures import count, mapping_in, one, span
from charter.report.files import Figure, RunFiles
from charter.report.metrics import METRICS, MODELS, Metric, metric_of, model_name, model_style
from charter.report.svg import padded

BASE = "base"
_PLANE = ("model", "helpful Elo", "low", "high", "harmless Elo", "low ", "high ")
_KEY_METRICS = ("harmful_compliance", "over_refusal", "helpful_win_rate")


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of the table; `change` is better, worse or "" against the base model."""

    value: str
    interval: str
    n: str
    unscored: int
    strip: Markup
    change: str


@dataclass(frozen=True, slots=True)
class Row:
    """One metric for all models; None where a model has no such figure."""

    metric: Metric
    cells: list[Cell | None]


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """A figure of the last model, large, with the base model's beside it."""

    metric: Metric
    now: Cell
    before: Cell | None


@dataclass(frozen=True, slots=True)
class Headline:
    """The first section."""

    models: list[tuple[str, str, str]]
    rows: list[Row]
    key_figures: list[KeyFigure]
    last: str
    plane: Exhibit | None
    data: Exhibit
    scorers: dict[str, str]
    independent: bool | None
    unscored: int


def headline(files: RunFiles) -> Headline | None:
    """The section, or None if the run has no figures yet."""
    summary = files.summary
    if summary is None or not summary.measurements:
        return None
    table = _Table(summary.measurements)
    scorers, independent = _scorers(files)
    return Headline(
        models=[(model_name(m), MODELS.get(m, ("", ""))[1], model_style(m)) for m in table.models],
        rows=[Row(metric_of(name), table.cells(name)) for name in table.metrics],
        key_figures=_key_figures(table),
        last=model_name(table.models[-1]),
        plane=_plane(table),
        data=measured(summary.measurements),
        scorers=scorers,
        independent=independent,
        unscored=sum(f.unscored for f in summary.measurements),
    )


def measured(figures: Sequence[Figure]) -> Exhibit:
    """Figures as a table of numbers."""
    rows = [(f.model, f.metric, f.value, f.low, f.high, f.n, f.unscored) for f in figures]
    columns = ("model", "metric", "value", "low", "high", "n", "unscored")
    return Exhibit("measurements", columns, [*rows])


class _Table:
    """Measurements by metric and model, in the order of the vocabulary."""

    def __init__(self, figures: Sequence[Figure]) -> None:
        self.by_key = {(f.metric, f.model): f for f in figures}
        self.models = _ordered({f.model: None for f in figures}, MODELS)
        self.metrics = _ordered({f.metric: None for f in figures}, METRICS)

    def get(self, metric: str, model: str) -> Figure | None:
        return self.by_key.get((metric, model))

    def cells(self, metric: str) -> list[Cell | None]:
        return [self.cell(metric, model) for model in self.models]

    def cell(self, metric: str, model: str) -> Cell | None:
        figure, base = self.get(metric, model), self.get(metric, BASE)
        if figure is None:
            return None
        described = metric_of(metric)
        return Cell(
            value=one(figure.value, described.scale, figure.n),
            interval=interval_of(figure),
            n=count(figure.n),
            unscored=figure.unscored,
            strip=self._strip(figure, base),
            change="" if model == BASE else _change(figure, base, described.better),
        )

    def _strip(self, figure: Figure, base: Figure | None) -> Markup:
        spread = spread_of(figure)
        if spread is None:
            return Markup("")
        reference = None if base is None or base is figure else base.value
        style = model_style(figure.model)
        return interval_strip(spread, self._limits(figure.metric), style=style, reference=reference)

    def _limits(self, metric: str) -> tuple[float, float]:
        if metric_of(metric).scale == "share":
            return 0.0, 1.0
        row = (self.get(metric, model) for model in self.models)
        spreads = [s for s in (spread_of(f) for f in row if f is not None) if s is not None]
        return padded([v for s in spreads for v in (s.low, s.value, s.high)])


def _ordered(found: Collection[str], known: Collection[str]) -> list[str]:
    """Known names in their order, then the others as they came."""
    return [name for name in known if name in found] + [n for n in found if n not in known]


def spread_of(figure: Figure) -> Spread | None:
    """A figure as a point with its interval, None if it could not be computed."""
    if figure.value is None:
        return None
    low = figure.value if figure.low is None else figure.low
    high = figure.value if figure.high is None else figure.high
    return Spread(figure.value, low, high)


def interval_of(figure: Figure) -> str:
    """The interval of a figure in words, in the unit of its metric."""
    metric = metric_of(figure.metric)
    if metric.scale == "elo" and figure.low == figure.high == 0:
        return "zero by definition"
    return span(figure.low, figure.high, metric.scale, figure.n)


def _change(figure: Figure, base: Figure | None, better: int) -> str:
    """Better or worse only where the two intervals keep apart, which is a strict test."""
    now, then = spread_of(figure), None if base is None else spread_of(base)
    if now is None or then is None or not better:
        return ""
    if now.low > then.high:
        return "better" if better > 0 else "worse"
    if now.high < then.low:
        return "worse" if better > 0 else "better"
    return ""


def _key_figures(table: _Table) -> list[KeyFigure]:
    last = table.models[-1]
    found = [(name, table.cell(name, last)) for name in _KEY_METRICS]
    before = None if last == BASE else BASE
    return [
        KeyFigure(metric_of(name), cell, (before and table.cell(name, before)) or None)
        for name, cell in found
        if cell is not None
    ]


def _plane(table: _Table) -> Exhibit | None:
    points = []
    for model in table.models:
        helpful, harmless = table.get("elo_helpful", model), table.get("elo_harmless", model)
        x = None if helpful is None else spread_of(helpful)
        y = None if harmless is None else spread_of(harmless)
        if x is not None and y is not None:
            points.append(PlanePoint(model_name(model), model_style(model), x, y))
    if not points:
        return None
    rows = [(p.label, p.x.value, p.x.low, p.x.high, p.y.value, p.y.low, p.y.high) for p in points]
    return Exhibit(
        "harmless-and-helpful",
        _PLANE,
        [*rows],
        plane(points, "Helpfulness Elo", "Harmlessness Elo"),
    )


def _scorers(files: RunFiles) -> tuple[dict[str, str], bool | None]:
    """Who measured, and whether none of them had labelled or rewarded (None: not recorded)."""
    notes = files.stage("evaluate").notes
    scorers = {k: str(v) for k, v in mapping_in(notes, "scorers").items()}
    used = notes.get("labelled_or_rewarded")
    if not scorers or not isinstance(used, list):
        return scorers, None
    return scorers, not set(scorers.values()) & {str(u) for u in used}
