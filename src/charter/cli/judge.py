"""`charter judge …`: testing a judge before it labels, and training one."""

from __future__ import annotations

import sys

import click

from charter.cli.output import as_json_option, say


@click.group("judge")
def group() -> None:
    """Test a judge, or train one."""


@group.command()
@click.option(
    "--judge",
    "name",
    default="embedded",
    show_default=True,
    help="embedded, a judge of the recipe, or a folder that `charter judge train` wrote.",
)
@click.option(
    "--pairs", required=True, help="Labelled pairs: HH-RLHF .jsonl(.gz), or prompt, a, b, label."
)
@click.option("--limit", type=click.IntRange(min=1), help="Use the first N pairs.", metavar="N")
@click.option(
    "--recipe",
    "source",
    default="embedded",
    show_default=True,
    help="Recipe with the constitution, the judges and the thresholds (block acceptance).",
)
@as_json_option
def test(name: str, pairs: str, limit: int | None, source: str, as_json: bool) -> None:
    """Test a judge on pairs that people labelled. Exit code 1 if it does not pass.

    Agreement, position and length bias, calibration, rewording, injected commands, and pairs with
    an obvious answer, each against a threshold of the recipe.
    """
    import msgspec

    from charter import acceptance
    from charter import recipe as recipes
    from charter.display import progress_bars
    from charter.display_judge import show_acceptance
    from charter.models.hf import quiet_loading

    loaded = recipes.load(source)
    with quiet_loading(), progress_bars(enabled=not as_json) as progress:
        found = acceptance.run(loaded, name, pairs, limit=limit, progress=progress)
    if as_json:
        say(msgspec.to_builtins(found), True, "")
    else:
        show_acceptance(found)
    if not found.passed:
        sys.exit(1)


@group.command()
@click.option("--pairs", multiple=True, help="Labelled pairs for the axis `preferred`.")
@click.option(
    "--principle-axis",
    "axes",
    multiple=True,
    metavar="NAME=FILE",
    help="Labelled pairs for an axis that counts as a principle's question asks for it.",
)
@click.option(
    "--questions",
    default="",
    help="YAML file with questions for and against each axis (harmless, helpful are shipped).",
)
@click.option("--model", default="embedded", show_default=True, help="Model that it reads.")
@click.option("--limit", type=click.IntRange(min=1), help="First N pairs a file.", metavar="N")
@click.option(
    "--strength", default=1e-4, show_default=True, help="Inverse L2 penalty on the features."
)
@click.option(
    "--licence", default="that of the pairs", show_default=True, help="To state in the card."
)
@click.option("--out", required=True, help="Folder to write; use it as --judge or in a recipe.")
@as_json_option
def train(
    pairs: tuple[str, ...],
    axes: tuple[str, ...],
    questions: str,
    model: str,
    limit: int | None,
    strength: float,
    licence: str,
    out: str,
    as_json: bool,
) -> None:
    """Train a readout judge for any local model on labelled pairs.

    One prompt in five is held out for the figures of the card.
    """
    import msgspec

    from charter.display import progress_bars
    from charter.display_judge import show_training
    from charter.judging import own_readout
    from charter.models.hf import quiet_loading

    asked = own_readout.Training(
        pairs, tuple(map(_axis, axes)), questions, strength, limit, licence
    )
    with quiet_loading(), progress_bars(enabled=not as_json) as progress:
        found = own_readout.train(asked, model, out, progress=progress)
    if as_json:
        say(msgspec.to_builtins(found), True, "")
    else:
        show_training(found)


def _axis(text: str) -> tuple[str, str]:
    name, equals, file = text.partition("=")
    if not (equals and name.strip() and file.strip()):
        raise click.BadParameter(f"{text!r} is not NAME=FILE", param_hint="--principle-axis")
    return name.strip(), file.strip()
