"""`charter constitution …`: the document."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from charter.cli import constitution_files, constitution_probe
from charter.cli.output import as_json_option, say

if TYPE_CHECKING:
    from charter.constitution.likeness import Embed


@click.group("constitution")
def group() -> None:
    """Look at constitutions."""


for _command in (*constitution_files.commands, constitution_probe.probe):
    group.add_command(_command)


@group.command()
@click.argument("source", default="default")
@as_json_option
def show(source: str, as_json: bool) -> None:
    """Check a constitution and show its principles. Exit code 2 if it is not valid."""
    import msgspec

    from charter.constitution import document
    from charter.display import show_constitution

    found = document.load(source)
    if as_json:
        say({"digest": found.digest, **msgspec.to_builtins(found)}, True, "")
    else:
        show_constitution(found)


_run_option = click.option(
    "--run", "folder", type=click.Path(exists=True, file_okay=False), help="A run folder."
)


@group.command()
@click.argument("source", metavar="DOC", default="default")
@_run_option
@click.option(
    "--model",
    help="Compare clauses by this model's embedding, in place of their letters: embedded, or a "
    "folder.",
)
@as_json_option
def lint(source: str, folder: str | None, model: str | None, as_json: bool) -> None:
    """Look a document through: errors, and advice. Exit code 2 if there is an error.

    With --run also: clauses that no record of the run used, and clauses whose votes contradict
    each other, with the comparisons as evidence.
    """
    import msgspec

    from charter.constitution.lint import count
    from charter.constitution.lint import lint as look_through
    from charter.display_constitution import show_findings

    found = look_through(source, run=folder, embed=_embedder(model) if model else None)
    totals = count(found)
    if as_json:
        say({**totals, "findings": msgspec.to_builtins(found)}, True, "")
    else:
        show_findings(found)
    if totals["errors"]:
        sys.exit(2)


@group.command()
@click.argument("a")
@click.argument("b")
@_run_option
@click.option("--relabel", is_flag=True, help="Ask the judge of --run which verdicts would flip.")
@as_json_option
def diff(a: str, b: str, folder: str | None, relabel: bool, as_json: bool) -> None:
    """What changed from document A to document B, principle by principle.

    With --run (made under A) also: which of its records depend on the change, and how many judge
    calls a relabel takes. Nothing in the run is changed.
    """
    import msgspec

    from charter.constitution import document
    from charter.constitution.dependence import dependence
    from charter.constitution.diff import diff as compare
    from charter.display_constitution import show_dependence, show_diff

    if relabel and folder is None:
        raise click.UsageError("--relabel needs --run RUN, whose judge is asked")
    before, after = document.load(a), document.load(b)
    found = compare(before, after)
    uses = None if folder is None else dependence(found, folder)
    result: dict[str, Any] = msgspec.to_builtins(found)
    if uses is not None:
        result["run"] = msgspec.to_builtins(uses)
    if not as_json:
        show_diff(found)
        if uses is not None:
            show_dependence(uses, found.a.digest)
    if folder is not None:
        result |= _relabel(folder, before, after, relabel, as_json)
    if as_json:
        say(result, True, "")


@group.command()
def schema() -> None:
    """Print the JSON Schema of documents and overlays, for editors."""
    from charter.constitution import schema as schemas

    click.echo(schemas.text(), nl=False)


def _embedder(name: str) -> Embed:
    """Embeds by a local model, with the shipped document's sentences as the reference."""
    from charter.constitution import document
    from charter.constitution.likeness import FIELDS
    from charter.models.hf import quiet_loading
    from charter.models.loading import Models
    from charter.readout.sentences import SentenceEmbedder
    from charter.records import Checkpoint

    shipped = document.load(document.DEFAULT).principles
    with quiet_loading():
        model = Models().local(Checkpoint(name))
    return SentenceEmbedder(model, [getattr(p, field) for p in shipped for field in FIELDS])


def _relabel(folder: str, before: Any, after: Any, ask: bool, as_json: bool) -> dict[str, Any]:
    """Cost of a relabel and, if asked for, the verdicts that flip; nothing without labels."""
    import msgspec

    from charter import impact
    from charter.display import progress_bars
    from charter.display_constitution import show_cost
    from charter.models.hf import quiet_loading

    found: dict[str, Any] = {}
    if ask or impact.has_labels(folder):
        cost = impact.relabel_cost(folder, before, after)
        found["relabel_cost"] = msgspec.to_builtins(cost)
        if not as_json:
            show_cost(cost)
    if ask:
        with quiet_loading(), progress_bars(enabled=not as_json) as progress:
            flips = impact.relabel_flips(folder, before, after, progress=progress)
        found["relabel"] = msgspec.to_builtins(flips)
        if not as_json:
            click.echo(flips.text())
            for id in flips.flipped_ids:
                click.echo(f"  flipped: {id}")
    return found
