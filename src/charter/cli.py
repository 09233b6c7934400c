"""The `charter` command. Parses, calls, prints; every decision is made below.

Command bodies import what they need when they run, so that `charter --help` answers at once. This
is the only module that does so.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from charter import __version__
from charter.errors import CharterError

if TYPE_CHECKING:
    from charter.summary import Summary

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_STAGE_COMMANDS = {
    "critique": ("critique", "Draft, critique and revise answers to red-team prompts."),
    "sft": ("sft", "Fine-tune on the revisions and on helpful answers."),
    "label": ("feedback", "Sample pairs and label them against the constitution."),
    "preference": ("preference", "Train the preference model on the soft labels."),
    "rl": ("rl", "Optimise the policy against the labels or the preference model."),
    "evaluate": ("evaluate", "Measure the start, SL-CAI and RL-CAI models on held-out prompts."),
}


@click.group(context_settings=_SETTINGS)
@click.version_option(__version__, prog_name="charter")
def cli() -> None:
    """Constitutional AI from one written document.

    Start with `charter run` (the embedded model, about a quarter of an hour on two cores), then
    open the report that it names.
    """


@cli.command()
@click.argument("recipe", default="embedded")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--dry-run", is_flag=True, help="Say what each stage would do and cost; do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def run(recipe: str, overrides: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Run all stages of RECIPE (a file, or a name such as embedded or smoke).

    KEY=VALUE overrides any key of the recipe: run=DIR, seed=1, prompts=FILE, critique.rounds=4.
    A run that was cut short goes on where it stopped.
    """
    if dry_run:
        _estimate(recipe, overrides, as_json)
    else:
        _run(recipe, overrides, "evaluate", as_json)


def _stage_command(name: str, stage: str, help: str) -> None:
    @cli.command(name, help=f"{help} Earlier stages that have not finished are run first.")
    @click.argument("recipe", default="embedded")
    @click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
    @click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
    def command(recipe: str, overrides: tuple[str, ...], as_json: bool) -> None:
        _run(recipe, overrides, stage, as_json)


for _name, (_stage, _help) in _STAGE_COMMANDS.items():
    _stage_command(_name, _stage, _help)


@cli.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def report(run: str, as_json: bool) -> None:
    """Write the HTML report of the folder RUN again from its records."""
    from pathlib import Path

    from charter.report.page import write_report

    path = write_report(Path(run))
    _say({"report": str(path)}, as_json, f"Report: {path}")


@cli.command()
@click.argument("record")
@click.option("--run", "folder", default="runs/demo", help="Run folder.", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def show(record: str, folder: str, as_json: bool) -> None:
    """Show a record of a run by its id, back to the clauses that made it."""
    from charter.tracing import trace

    found = trace(folder, record)
    _say(found, as_json, json.dumps(found, indent=2, ensure_ascii=False))


@cli.group()
def constitution() -> None:
    """Look at constitutions."""


@constitution.command("show")
@click.argument("source", default="default")
@click.option("--json", "as_json", is_flag=True, help="Print the document as one JSON object.")
def constitution_show(source: str, as_json: bool) -> None:
    """Check a constitution and show its principles. Exit code 2 if it is not valid."""
    import msgspec

    from charter.constitution import document
    from charter.display import show_constitution

    found = document.load(source)
    if as_json:
        _say({"digest": found.digest, **msgspec.to_builtins(found)}, True, "")
    else:
        show_constitution(found)


@cli.group()
def models() -> None:
    """The models at hand."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def models_list(as_json: bool) -> None:
    """List what can be used without a download."""
    from charter.display import show_models
    from charter.models.catalogue import available

    found = available()
    if as_json:
        _say(found, True, "")
    else:
        show_models(found)


@models.command("pull")
@click.argument("name", default="embedded")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def models_pull(name: str, as_json: bool) -> None:
    """Make a model ready: convert the embedded one, or fetch a hub model into the local cache."""
    from charter.models.catalogue import pull

    path = str(pull(name))
    _say({"model": name, "path": path}, as_json, f"{name}: {path}")


def _run(recipe: str, overrides: tuple[str, ...], through: str, as_json: bool) -> None:
    from charter import pipeline
    from charter import recipe as recipes
    from charter.display import progress_bars, show_summary
    from charter.models.hf import quiet_loading

    loaded = recipes.load(*_split(recipe, overrides))
    with quiet_loading(), progress_bars(enabled=not as_json) as progress:
        summary: Summary = pipeline.run(loaded, through=through, progress=progress)
    if as_json:
        import msgspec

        _say(msgspec.to_builtins(summary), True, "")
    else:
        show_summary(summary)


def _estimate(recipe: str, overrides: tuple[str, ...], as_json: bool) -> None:
    import msgspec

    from charter import recipe as recipes
    from charter.display import show_estimate
    from charter.estimate import estimate
    from charter.models.hf import quiet_loading

    loaded = recipes.load(*_split(recipe, overrides))
    with quiet_loading():
        found = estimate(loaded)
    if as_json:
        _say(msgspec.to_builtins(found), True, "")
    else:
        show_estimate(loaded, found)


def _split(recipe: str, overrides: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """`charter run key=value` leaves the recipe out: the default one is meant."""
    return ("embedded", (recipe, *overrides)) if "=" in recipe else (recipe, overrides)


def _say(value: Any, as_json: bool, text: str) -> None:
    click.echo(json.dumps(value, ensure_ascii=False) if as_json else text)


def main() -> None:
    """Entry point: one clear message for what went wrong, and the exit code of its kind."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        click.echo("charter: interrupted; run the same command again to go on", err=True)
        sys.exit(130)
    except CharterError as error:
        click.echo(f"charter: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
