"""`charter run`, and one command for each stage of the loop but `evaluate`, which does more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from charter.cli.output import as_json_option, say

if TYPE_CHECKING:
    from charter.summary import Summary

_STAGES = {
    "critique": ("critique", "Draft, critique and revise answers to red-team prompts."),
    "sft": ("sft", "Fine-tune on the revisions and on helpful answers."),
    "label": ("feedback", "Sample pairs and label them against the constitution."),
    "preference": ("preference", "Train the preference model on the soft labels."),
    "rl": ("rl", "Optimise the policy against the labels or the preference model."),
}

_AFTER_LABELS = frozenset({"label", "preference", "rl"})
relabel_option = click.option(
    "--relabel-from",
    metavar="RUN",
    type=click.Path(exists=True, file_okay=False),
    help="After an edit of the constitution: take over the pairs of RUN, and its votes under"
    " principles that have not changed; ask the judge only for the others.",
)


@click.command()
@click.argument("recipe", default="embedded")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--dry-run", is_flag=True, help="Say what each stage would do and cost; do nothing.")
@as_json_option
def run(recipe: str, overrides: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Run all stages of RECIPE (a file, or a name such as embedded or smoke).

    KEY=VALUE overrides any key of the recipe: run=DIR, seed=1, prompts=FILE, critique.rounds=4.
    A run that was cut short goes on where it stopped.
    """
    if dry_run:
        _estimate(recipe, overrides, as_json)
    else:
        run_stage(recipe, overrides, "evaluate", as_json)


def _stage_command(name: str, stage: str, help: str) -> click.Command:
    @click.command(name, help=f"{help} Earlier stages that have not finished are run first.")
    @click.argument("recipe", default="embedded")
    @click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
    @as_json_option
    def command(
        recipe: str, overrides: tuple[str, ...], as_json: bool, relabel_from: str | None = None
    ) -> None:
        run_stage(recipe, overrides, stage, as_json, relabel_from)

    return relabel_option(command) if name in _AFTER_LABELS else command


commands: tuple[click.Command, ...] = (
    run,
    *(_stage_command(name, stage, help) for name, (stage, help) in _STAGES.items()),
)


def run_stage(
    recipe: str,
    overrides: tuple[str, ...],
    through: str,
    as_json: bool,
    relabel_from: str | None = None,
) -> None:
    """Run a recipe through one of its stages and show the summary.

    Of several processes that a launcher started, the first does all this; see `training.crew`.
    """
    from charter import pipeline
    from charter import recipe as recipes
    from charter.display import progress_bars, show_summary
    from charter.judging.earlier import summary_of
    from charter.models.hf import quiet_loading
    from charter.training import crew

    with crew.assembled() as leads:
        if not leads:
            return
        loaded = recipes.load(*_split(recipe, overrides))
        with quiet_loading(), progress_bars(enabled=not as_json) as progress:
            summary: Summary = pipeline.run(
                loaded, through=through, progress=progress, relabel_from=relabel_from
            )
    relabelled = None if relabel_from is None else summary_of(summary.run, "feedback")
    if as_json:
        import msgspec

        found = msgspec.to_builtins(summary)
        say(
            found if relabelled is None else {**found, "relabel": msgspec.to_builtins(relabelled)},
            True,
            "",
        )
    else:
        if relabelled is not None:
            click.echo(relabelled.text())
        show_summary(summary)


def _estimate(recipe: str, overrides: tuple[str, ...], as_json: bool) -> None:
    import msgspec

    from charter import recipe as recipes
    from charter.display import show_estimate
    from charter.estimate.cost import estimate
    from charter.models.hf import quiet_loading

    loaded = recipes.load(*_split(recipe, overrides))
    with quiet_loading():
        found = estimate(loaded)
    if as_json:
        say(msgspec.to_builtins(found), True, "")
    else:
        show_estimate(loaded, found)


def _split(recipe: str, overrides: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """`charter run key=value` leaves the recipe out: the default one is meant."""
    return ("embedded", (recipe, *overrides)) if "=" in recipe else (recipe, overrides)
