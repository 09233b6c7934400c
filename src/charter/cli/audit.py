"""`charter audit`: how well a run's models keep each clause, and where the document is vague."""

from __future__ import annotations

import click

from charter.cli.output import as_json_option, say


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False))
@click.option("--out", type=click.Path(file_okay=False), help="Folder to write to.  [default: RUN]")
@click.option(
    "--paraphrases",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Ask the judge of the run about N comparisons in other words; loads its model.",
)
@as_json_option
def audit(run: str, out: str | None, paraphrases: int, as_json: bool) -> None:
    """Audit the folder RUN, clause by clause.

    Violation rates before and after, with intervals and examples; and the specification gaps: the
    clauses about which judges, orders and wordings disagree most. Writes audit.json and audit.html.
    """
    import msgspec

    from charter import auditing
    from charter.display import progress_bars
    from charter.display_assessment import show_audit
    from charter.models.hf import quiet_loading

    with quiet_loading(), progress_bars(enabled=not as_json) as progress:
        found, files = auditing.run(run, out, paraphrases=paraphrases, progress=progress)
    if as_json:
        say({**msgspec.to_builtins(found), "files": files}, True, "")
    else:
        show_audit(found, files)
