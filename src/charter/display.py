"""What the command shows on a terminal: progress bars, tables, the last line with the path."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from charter.constitution.document import Constitution
from charter.engine.local import Progress as ProgressCallback
from charter.engine.local import silent
from charter.judging.label_statistics import lines as label_lines
from charter.records import Measurement
from charter.store import StageFolder

if TYPE_CHECKING:  # these pull in torch, which a table of principles does not need
    from charter.estimate.cost import Estimate
    from charter.recipe import Recipe
    from charter.summary import Summary

_LABELS = "feedback"
"""The labelling stage; its module pulls in what a table does not need."""
_MODELS = ("base", "sl_cai", "rl_cai")
_TWIN, _TWIN_STAGE = "rlhf", "twin"
_PERCENT = ("harmful_compliance", "over_refusal", "refusal", "helpful_win_rate", "helpful_tie_rate")


@contextmanager
def progress_bars(*, enabled: bool = True) -> Iterator[ProgressCallback]:
    """One bar a stage, with elapsed and remaining time; nothing at all if not enabled."""
    if not enabled:
        yield silent
        return
    columns = (
        TextColumn("{task.description:<11}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    bars = Progress(*columns, console=Console(stderr=True))

    def advance(stage: str, done: int, total: int | None) -> None:
        bars.start()
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage, total=total)
        bars.update(tasks[stage], completed=done, total=total)

    try:
        yield advance
    finally:
        # Bars that never started would leave an empty line in front of an error message.
        if tasks:
            bars.stop()


def show_summary(summary: Summary) -> None:
    """The closing table of a run, what was dropped, and where the report lies."""
    console = Console()
    if summary.measurements:
        console.print(_measurement_table(summary.measurements))
    for stage, reasons in summary.dropped.items():
        listed = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
        console.print(f"dropped in {stage}: {listed}")
    _show_labels(summary.run, console)
    _show_twin(summary.run, console)
    total = sum(summary.seconds.values())
    console.print(f"{total / 60:.1f} minutes of stages; constitution {summary.constitution_digest}")
    console.print(f"Report: {summary.run}/report.html", soft_wrap=True)


def show_constitution(document: Constitution) -> None:
    """A constitution as a table."""
    table = Table(title=f"{document.title or document.name} {document.version} ({document.digest})")
    for column in ("id", "title", "weight", "tags"):
        table.add_column(column)
    for principle in document.principles:
        tags = ", ".join(principle.tags)
        table.add_row(principle.id, principle.title, f"{principle.weight:g}", tags)
    Console().print(table)
    halves = document.categories
    Console().print(
        f"{len(document.principles)} principles; {len(halves.harmful)} harmful and "
        f"{len(halves.harmless)} harmless categories"
    )


def show_models(models: list[dict[str, Any]]) -> None:
    """Models at hand as a table."""
    table = Table()
    for column in ("name", "state", "where"):
        table.add_column(column)
    for model in models:
        table.add_row(model["name"], model["state"], model["where"])
    Console().print(table)


def show_estimate(recipe: Recipe, found: Estimate) -> None:
    """What a recipe would do and cost, by stage."""
    console = Console()
    remote = any(stage.remote for stage in found.stages)
    columns = ["stage", "calls", "generated", "read", "trained", "remote", "memory", "time"]
    if not remote:
        columns.remove("remote")
    title = f"{recipe.name}: what each stage would do (nothing was run)"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column in columns:
        table.add_column(column, justify="left" if column == "stage" else "right", no_wrap=True)
    for stage in found.stages:
        tokens = [stage.calls, stage.generated, stage.read, stage.trained]
        counts = [*tokens, *([stage.remote] if remote else [])]
        end = (f"{stage.memory_gb:.1f} GB", _duration(stage.seconds))
        table.add_row(stage.stage, *map(_short, counts), *end)
    console.print(table)
    rates = found.rates
    for line in (
        f"{_short(found.tokens)} tokens, {_duration(found.seconds)}, "
        f"at most {found.memory_gb:.1f} GB of {found.machine.memory_gb:.0f} GB",
        f"tokens a second, {found.rates_from}: "
        f"{rates.generate:.0f} generated, {rates.read:.0f} read, {rates.train:.0f} trained",
        *found.notes,
    ):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _short(count: float) -> str:
    """A count in three digits or so: a table of a cluster's run must fit a terminal."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if count >= size:
            return f"{count / min(size, 1e3 if unit == 'k' else size):.3g} {unit}"
    return f"{count:,.0f}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _show_labels(run: str, console: Console) -> None:
    """What the labelling run says of itself; nothing if there was none."""
    labels = StageFolder(Path(run) / _LABELS, _LABELS, "").manifest
    for line in label_lines(labels.notes["statistics"]) if labels else ():
        console.print(line, highlight=False, markup=False)


def _measurement_table(measurements: tuple[Measurement, ...]) -> Table:
    found = {(m.metric, m.model): m for m in measurements}
    # Tight enough for a terminal of 80 columns.
    caption = "[95 % interval]; +u: u answers could not be scored"
    table = Table(box=SIMPLE_HEAD, caption=caption, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("metric", no_wrap=True)
    models = (*_MODELS, *([_TWIN] if any(m.model == _TWIN for m in measurements) else []))
    for model in (*models, "n"):
        table.add_column(model, justify="right", no_wrap=True)
    for metric in dict.fromkeys(m.metric for m in measurements):
        row = [found.get((metric, model)) for model in models]
        sizes = "/".join(dict.fromkeys(str(m.n) for m in row if m is not None))
        table.add_row(metric, *map(_cell, row), sizes)
    return table


def _show_twin(run: str, console: Console) -> None:
    """How the policy of the judge's labels fares against that of people's."""
    manifest = StageFolder(Path(run) / _TWIN_STAGE, _TWIN_STAGE, "").manifest
    notes = {} if manifest is None else manifest.notes
    for kind in ("harmless", "helpful"):
        if found := notes.get(kind):
            raw, even = (_win_rate(found[name]) for name in ("raw", "controlled"))
            n = found["raw"]["n"]
            console.print(f"rl_cai beats rlhf, {kind}: {raw}, at equal lengths {even} (n = {n})")


def _win_rate(rate: dict[str, float]) -> str:
    low, value, high = (f"{100 * rate[name]:.0f}" for name in ("low", "value", "high"))
    return f"{value}% [{low},{high}]"


def _cell(m: Measurement | None) -> str:
    if m is None:
        return "-"
    percent = m.metric.startswith(_PERCENT)
    scale, unit = (100, "%") if percent else (1, "")
    value, low, high = (f"{scale * x:.0f}" for x in (m.value, m.low, m.high))
    unscored = f" +{m.unscored}" if m.unscored else ""
    return f"{value}{unit} [{low},{high}]{unscored}"
