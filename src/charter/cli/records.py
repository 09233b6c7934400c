"""`charter show`: reading the records of a run folder."""

from __future__ import annotations

import json

import click

from charter.cli.output import as_json_option, say


@click.command()
@click.argument("what", metavar="ID")
@click.option(
    "--run",
    "folder",
    default="runs/demo",
    help="Run folder, or the folder of a guard's audit log.",
    show_default=True,
)
@click.option("--constitution", help="Document to trace to.  [default: the run's]")
@as_json_option
def show(what: str, folder: str, constitution: str | None, as_json: bool) -> None:
    """Show what ID stands for, and its way through the constitution.

    ID is a record, a request that a guard saw, a prompt, or the words of a message: shown back to
    clause, version and judge. Or it is a clause: shown forward to its uses, its label statistics
    and its violation rate before and after.
    """
    from charter.display_constitution import show_clause
    from charter.tracing.trace import trace

    found = trace(folder, what, constitution=constitution)
    if found["kind"] == "clause" and not as_json:
        show_clause(found)
    else:
        say(found, as_json, json.dumps(found, indent=2, ensure_ascii=False))
