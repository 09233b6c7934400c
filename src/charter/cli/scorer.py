"""`charter scorer …`: testing a scorer before its figures are believed."""

from __future__ import annotations

import click

from charter.cli.output import as_json_option, say


@click.group("scorer")
def group() -> None:
    """Test a scorer."""


@group.command()
@click.option(
    "--scorer",
    default="compliance",
    show_default=True,
    help="compliance, refusal, rubric, or the folder of a readout.",
)
@click.option("--answers", required=True, help="Labelled answers: CSV or JSON lines, .gz too.")
@click.option(
    "--columns",
    required=True,
    metavar="prompt=…,answer=…,label=…",
    help="Where they stand in the file; the prompt may be left out.",
)
@click.option(
    "--positive",
    multiple=True,
    metavar="VALUE",
    help="Label of what the scorer looks for (more than one may be given). Not needed for 1 and 0"
    " and other plain labels: 1 is going along, and 0 is what `refusal` looks for.",
)
@click.option("--threshold", type=click.FloatRange(0, 1), default=0.5, show_default=True)
@click.option("--model", default="", help="Judge of the rubric, or the model that a folder reads.")
@click.option("--limit", type=click.IntRange(min=1), help="Use the first N answers.", metavar="N")
@as_json_option
def test(
    scorer: str,
    answers: str,
    columns: str,
    positive: tuple[str, ...],
    threshold: float,
    model: str,
    limit: int | None,
    as_json: bool,
) -> None:
    """Test a scorer on answers that people labelled, beside a bag of words.

    Accuracy, AUROC, sensitivity and specificity, each with its 95 % interval.
    """
    import msgspec

    from charter import assessment
    from charter.display import progress_bars
    from charter.display_assessment import show_examination
    from charter.evaluate.labelled import Columns
    from charter.models.hf import quiet_loading

    chosen = Columns.parse(columns)
    with quiet_loading(), progress_bars(enabled=not as_json) as progress:
        found = assessment.try_scorer(
            scorer,
            answers,
            chosen,
            positive=positive,
            model=model,
            limit=limit,
            threshold=threshold,
            progress=progress,
        )
    if as_json:
        say(msgspec.to_builtins(found), True, "")
    else:
        show_examination(found)
