"""`charter induce`: from preferences between answers to the draft of a constitution."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.output import as_json_option, say

if TYPE_CHECKING:
    from charter.collective.induction.result import Induced, Learned
    from charter.statistics import Rate


@click.command()
@click.option(
    "--pairs",
    help="Preferences: text_a, text_b, preferred_text; or chosen, rejected; or a, b, label.",
)
@click.option(
    "--run",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Learn from the labels of a run, and compare with its written principles.",
)
@click.option(
    "--judge",
    help="scripted (counts words and traits), embedded, a judge of the recipe, or a folder. "
    "[default: scripted; with a model as proposer, embedded]",
)
@click.option(
    "--proposer",
    default="rules",
    show_default=True,
    help="rules (traits and words, no model), or a model that says why answers were preferred.",
)
@click.option("--recipe", "source", default="embedded", show_default=True, help="Has the judges.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Document to write.")
@click.option("--max-principles", type=click.IntRange(min=1), default=5, show_default=True)
@click.option(
    "--held-out",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.3,
    show_default=True,
    help="Share of the pairs that only the figures see.",
)
@click.option("--candidates", type=click.IntRange(min=1), default=40, show_default=True)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Use the first N pairs.")
@click.option("--seed", type=int, default=0, show_default=True)
@as_json_option
def induce(
    pairs: str | None,
    folder: Path | None,
    judge: str | None,
    proposer: str,
    source: str,
    out: Path | None,
    max_principles: int,
    held_out: float,
    candidates: int,
    limit: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Draft a constitution from preferences: the few principles that explain the most pairs.

    Tested on pairs held out. Says "not above chance", and writes no document, where there is
    nothing to learn. The draft is for a person to review.
    """
    from charter import induction
    from charter import recipe as recipes
    from charter.collective.induction.config import InduceConfig
    from charter.display import progress_bars
    from charter.models.hf import quiet_loading

    if (pairs is None) == (folder is None):
        raise click.UsageError("Give either --pairs FILE or --run RUN.")
    named = judge or (induction.SCRIPTED if proposer == induction.RULES else "embedded")
    config = InduceConfig(
        max_principles=max_principles, held_out=held_out, candidates=candidates, seed=seed
    )
    asked: dict[str, Any] = {"judge": named, "proposer": proposer, "limit": limit}
    loaded = recipes.load(source)
    with quiet_loading(), progress_bars(enabled=not as_json) as progress:
        if folder is not None:
            found = induction.of_run(loaded, folder, config, progress=progress, **asked)
        else:
            assert pairs is not None
            found = induction.of_pairs(loaded, pairs, config, progress=progress, **asked)
    _report(found, _written(found, out), as_json)


def _written(found: Induced, out: Path | None) -> str | None:
    from charter.cli.output import write
    from charter.collective.induction import draft

    document = draft.constitution(found)
    if out is None or document is None:
        return None
    write(out, draft.as_yaml(document))
    return str(out)


def _report(found: Induced, written: str | None, as_json: bool) -> None:
    import msgspec

    if as_json:
        say({**msgspec.to_builtins(found), "document": written}, True, "")
        return
    _show(found)
    if written:
        click.echo(f"Document: {written}")
    elif not found.above_chance:
        click.echo("No document is written.")


def _show(found: Induced) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=SIMPLE, expand=True)
    table.add_column("principle", ratio=1)
    for name in ("train", "right", "held out", "right (95 %)", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found.principles:
        table.add_row(Text(one.wording.text), *_cells(one))
    if found.principles:
        console.print(table)
    console.print(Text(found.verdict), soft_wrap=True)
    for line in _lines(found):
        console.print(Text(line), soft_wrap=True)


def _cells(one: Learned) -> list[str]:
    train, held = one.train, one.held_out
    ends = f" ({100 * held.accuracy.low:.0f} to {100 * held.accuracy.high:.0f})"
    return [
        f"{train.agree} of {train.explained.n}",
        _percent(train.accuracy),
        f"{held.agree} of {held.explained.n}",
        _percent(held.accuracy) + ends,
        f"{one.p_holm:.2g}",
    ]


def _percent(rate: Rate) -> str:
    return f"{100 * rate.value:.0f} %" if rate.n else "-"


def _lines(found: Induced) -> list[str]:
    from charter.collective.induction.matching import closest

    proposals = found.proposals
    left_out = {**found.left_out, **proposals.left_out}
    said = [
        f"{found.train_pairs} pairs to learn from, {found.held_out_pairs} held out; "
        f"{proposals.tested} of {proposals.made} candidates tested; the longer answer is preferred "
        f"in {_percent(found.longer)} of the held-out pairs."
    ]
    if left_out:
        said.append(f"Left out: {', '.join(f'{reason} {n}' for reason, n in left_out.items())}.")
    for id, one in closest(found.matches).items():
        assert one.correlation is not None
        r = one.correlation
        said.append(
            f"{id} votes most like the written {one.written}: correlation {r.value:.2f} "
            f"(95 % {r.low:.2f} to {r.high:.2f}, n = {r.n})."
        )
    return [*said, *(f"Note: {note}" for note in found.notes)]
