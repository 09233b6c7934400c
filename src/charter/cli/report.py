"""`charter report`: a run folder as one page, or several runs side by side."""

from __future__ import annotations

import click

from charter.cli.output import as_json_option, say


@click.command()
@click.argument(
    "runs", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False), metavar="RUN..."
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False),
    help="File to write.  [default: report.html in RUN; comparison.html in the first of several]",
)
@as_json_option
def report(runs: tuple[str, ...], out: str | None, as_json: bool) -> None:
    """Write the HTML report of the folder RUN again from its records.

    With several runs, write one page that compares them with the first: measurements side by side,
    paired differences on shared prompts, what differs in the recipes, where the answers part.
    """
    from pathlib import Path

    if len(runs) == 1:
        from charter.report.page import write_report

        path = write_report(Path(runs[0]), None if out is None else Path(out))
        say({"report": str(path)}, as_json, f"Report: {path}")
        return
    import msgspec

    from charter.contrast import compare

    found = compare(runs, out)
    say(msgspec.to_builtins(found), as_json, f"Comparison: {found.report}")
