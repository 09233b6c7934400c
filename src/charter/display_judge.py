"""What `charter judge` shows on a terminal: the acceptance test, and a trained readout."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from charter.judging.acceptance import Acceptance
from charter.judging.acceptance_figures import Share
from charter.judging.own_readout import Trained
from charter.statistics import Rate

_SIGNS = {True: "[green]pass[/]", False: "[red]fail[/]", None: "-"}


def show_acceptance(found: Acceptance) -> None:
    """Every figure with its interval, its rule and whether it was met; then the verdict."""
    console = Console()
    console.print(_acceptance_table(found))
    for name, rate in found.baselines.items():
        if rate is not None:
            console.print(f"baseline on the same pairs: {name.replace('_', ' ')} {_share(rate)}")
    if found.canaries_missed:
        console.print(escape(f"canaries missed: {', '.join(found.canaries_missed)}"))
    if found.abstained:
        reasons = ", ".join(f"{reason} {n}" for reason, n in found.abstention_reasons.items())
        console.print(escape(f"abstained from {found.abstained}: {reasons}"))
    for failure in found.failures:
        console.print(f"[red]failed[/] {escape(failure)}", soft_wrap=True)
    if found.not_checked:
        console.print(f"not checked, nothing to measure: {', '.join(found.not_checked)}")
    console.print("[green]PASSED[/]" if found.passed else "[red]NOT PASSED[/]")


def show_training(found: Trained) -> None:
    """Figures of each axis, and where the readout lies."""
    console, table = Console(), Table(box=SIMPLE_HEAD, title=escape(f"readout of {found.model}"))
    for column in ("axis", "agreement", "bag of words", "longer wins", "trained on", "ECE"):
        table.add_column(column, justify="left" if column == "axis" else "right")
    for axis, figures in found.axes.items():
        rate = Rate(**figures["agreement"])
        rest = (figures[name] for name in ("agreement_bag_of_words", "longer_wins"))
        cells = [escape(axis), _share(rate), *(f"{x:.3f}" for x in rest)]
        table.add_row(*cells, str(figures["train_pairs"]), f"{figures['ece']:.3f}")
    console.print(table)
    for reason, count in found.dropped.items():
        console.print(f"left out: {reason} {count}")
    console.print(f"Readout: {found.folder}", soft_wrap=True, markup=False)


def _acceptance_table(found: Acceptance) -> Table:
    table = Table(
        box=SIMPLE_HEAD,
        title=escape(found.judge),
        caption=f"{found.pairs} pairs; [95 % interval] n; +u: u could not be scored",
    )
    table.add_column("figure", no_wrap=True)
    table.add_column("found", justify="right", no_wrap=True)
    table.add_column("asked for")
    table.add_column("")
    gates = {gate.name: gate for gate in found.gates}
    for name, text in _rows(found).items():
        gate = gates.get(name)
        ruled = (gate.rule, _SIGNS[gate.passed]) if gate else ("", "")
        table.add_row(name.replace("_", " "), text, *ruled)
    return table


def _rows(found: Acceptance) -> dict[str, str]:
    rows = {name: _share(rate) for name, rate in found.rates.items()}
    return rows | {"ece": "-" if found.ece is None else f"{found.ece:.3f}"}


def _share(rate: Rate | Share) -> str:
    if rate.value is None or not rate.n:
        return "-"
    unscored = f" +{rate.unscored}" if isinstance(rate, Share) and rate.unscored else ""
    numbers = f"{rate.value:.3f} [{rate.low:.3f}, {rate.high:.3f}] {rate.n}{unscored}"
    return escape(numbers)
