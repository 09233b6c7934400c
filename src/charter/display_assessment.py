"""What `charter scorer`, `charter evaluate --models` and `charter audit` show on a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from charter.evaluate.audit import Audit
from charter.evaluate.comparison import Comparison, SuiteFigures
from charter.evaluate.examination import Examination, lines
from charter.evaluate.results_text import cell
from charter.records import Measurement
from charter.statistics import Rate


def show_examination(found: Examination) -> None:
    """Every figure with its interval, beside the bag of words'."""
    console = Console()
    table = Table(
        box=SIMPLE_HEAD,
        title=escape(found.scorer),
        caption=f"{found.n} answers to {found.prompts} prompts, {found.unscored} unscored; "
        "[95 % interval]",
    )
    for column in ("figure", "scorer", "bag of words"):
        table.add_column(column, justify="left" if column == "figure" else "right", no_wrap=True)
    for name, rate, words in lines(found):
        table.add_row(name, _rate(rate), _rate(words))
    console.print(table)
    console.print(escape(f"positive: {', '.join(found.positive)} (threshold {found.threshold:g})"))
    if found.bag_of_words is not None:
        console.print("The bag of words learned from other prompts of the same file.")
    for reason, count in {**found.unscored_reasons, **found.dropped}.items():
        console.print(f"left out: {reason} {count}", markup=False)


def show_comparison(found: Comparison) -> None:
    """A table a suite, then the differences, and who measured whom."""
    console = Console()
    for suite in found.suites:
        console.print(_suite_table(suite, found.models))
        for model, reasons in suite.unscored.items():
            listed = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
            console.print(escape(f"{model}: unscored or not asked: {listed}"))
    if found.harness:
        console.print(_suite_table(_as_suite(found), found.models))
    for task, reason in found.skipped.items():
        console.print(escape(f"skipped {task}: {reason}"))
    _show_differences(found, console)
    for name, identity in found.scorers.items():
        console.print(escape(f"scorer {name}: {identity}"))
    used = ", ".join(found.labelled_or_rewarded) or "nobody that is known"
    console.print(escape(f"labelled or rewarded: {used} (held out from measuring)"))
    if found.folder:
        console.print(f"Readings and figures: {found.folder}", soft_wrap=True, markup=False)


def show_audit(found: Audit, files: Mapping[str, str]) -> None:
    """Violations by clause, then the widest gaps."""
    console = Console()
    table = Table(box=SIMPLE_HEAD, title="violations by clause, [95 % interval]")
    table.add_column("clause", no_wrap=True)
    for column in (*found.models, "change", "p"):
        table.add_column(escape(column), justify="right", no_wrap=True)
    for clause in found.clauses:
        cells = [_share(clause.models[model].rate) for model in found.models]
        change = clause.change
        last = (_share(change.difference), f"{change.p_adjusted:.3f}") if change else ("-", "-")
        table.add_row(escape(clause.id), *cells, *last)
    console.print(table)
    gaps = Table(box=SIMPLE_HEAD, title="specification gaps: who parts about a clause")
    for column in ("clause", "orders", "judges", "wordings", "near 1/2"):
        gaps.add_column(column, justify="left" if column == "clause" else "right", no_wrap=True)
    for gap in found.gaps:
        shares = (gap.orders, gap.judges, gap.wordings, gap.undecided)
        gaps.add_row(escape(gap.id), *map(_share, shares))
    console.print(gaps)
    for kind, path in files.items():
        console.print(f"{kind}: {path}", soft_wrap=True, markup=False)


def _suite_table(suite: SuiteFigures, models: list[str]) -> Table:
    found = {(m.metric, m.model): m for m in suite.measurements}
    title = f"{suite.suite}: {suite.about} ({suite.prompts} prompts, {suite.source})"
    table = Table(box=SIMPLE_HEAD, title=escape(title), caption="[95 % interval] n +unscored")
    table.add_column("metric", no_wrap=True)
    for model in models:
        table.add_column(escape(model), justify="right", no_wrap=True)
    for metric in dict.fromkeys(m.metric for m in suite.measurements):
        row: list[Measurement | None] = [found.get((metric, model)) for model in models]
        table.add_row(escape(metric), *(escape(cell(m)) for m in row))
    return table


def _as_suite(found: Comparison) -> SuiteFigures:
    about = "lm-evaluation-harness, Hugging Face backend."
    return SuiteFigures("lm_eval", about, "harness", 0, found.harness, {})


def _show_differences(found: Comparison, console: Console) -> None:
    clear = [d for d in found.differences if d.p_adjusted <= 0.05]
    for d in clear:
        console.print(
            escape(
                f"{d.model} against {d.reference}, {d.metric}: {d.value:+.3f} "
                f"[{d.low:+.3f}, {d.high:+.3f}], p {d.p_adjusted:.3f} adjusted, n {d.n}"
            )
        )
    if found.note:
        console.print(escape(found.note))


def _rate(rate: Rate | None) -> str:
    if rate is None or not rate.n:
        return "-"
    return escape(f"{rate.value:.3f} [{rate.low:.3f}, {rate.high:.3f}] {rate.n}")


def _share(rate: Rate | None) -> str:
    if rate is None or not rate.n:
        return "-"
    return escape(f"{100 * rate.value:.0f}% [{100 * rate.low:.0f}, {100 * rate.high:.0f}]")
