"""`charter report` and `charter show`: reading a run folder."""

from __future__ import annotations

import json

import click

from charter.cli.output import as_json_option, say


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False))
@as_json_option
def report(run: str, as_json: bool) -> None:
    """Write the HTML report of the folder RUN again from its records."""
    from pathlib import Path

    from charter.report.page import write_report

    path = write_report(Path(run))
    say({"report": str(path)}, as_json, f"Report: {path}")


@click.command()
@click.argument("record")
@click.option("--run", "folder", default="runs/demo", help="Run folder.", show_default=True)
@as_json_option
def show(record: str, folder: str, as_json: bool) -> None:
    """Show a record of a run by its id, back to the clauses that made it."""
    from charter.tracing import trace

    found = trace(folder, record)
    say(found, as_json, json.dumps(found, indent=2, ensure_ascii=False))


commands: tuple[click.Command, ...] = (report, show)
