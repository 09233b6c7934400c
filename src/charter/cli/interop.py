"""`charter interop …`: evaluations, suites and models for other tools, and theirs for us."""

from __future__ import annotations

import click

from charter.cli.output import as_json_option, say

_RUN = click.Path(exists=True, file_okay=False)


@click.group("interop")
def group() -> None:
    """Exchange with Inspect and lm-evaluation-harness."""


@group.command("inspect")
@click.argument("run", type=_RUN)
@click.option("--out", required=True, type=click.Path(file_okay=False), help="Folder for the logs.")
@click.option(
    "--format", "kind", type=click.Choice(("json", "eval")), default="json", show_default=True
)
@as_json_option
def inspect_(run: str, out: str, kind: str, as_json: bool) -> None:
    """Write the evaluations of the folder RUN as logs of Inspect, one for each model and suite."""
    from typing import cast

    import msgspec

    from charter.interop.inspect_export import Format, export

    found = export(run, out, kind=cast(Format, kind))
    say(msgspec.to_builtins(found), as_json, found.text())


@group.command()
@click.option("--out", required=True, type=click.Path(file_okay=False), help="Folder to write to.")
@click.option("--suite", "suites", default="harm,over_refusal", show_default=True)
@click.option("--data", type=click.Path(), help="Folder of the public files.")
@click.option("--limit", type=click.IntRange(min=1), help="First N prompts of each suite.")
@as_json_option
def tasks(out: str, suites: str, data: str | None, limit: int | None, as_json: bool) -> None:
    """Write suites as a task file of Inspect, for `inspect eval`."""
    import msgspec

    from charter.interop.inspect_tasks import write

    names = [name.strip() for name in suites.split(",") if name.strip()]
    found = write(out, names, data=data, limit=limit)
    say(msgspec.to_builtins(found), as_json, found.text())


@group.command()
@click.argument("model")
@click.option("--out", required=True, type=click.Path(file_okay=False), help="A new folder.")
@as_json_option
def checkpoint(model: str, out: str, as_json: bool) -> None:
    """Write MODEL (RUN:rl_cai, a folder, a name) as one plain folder with its adapters merged."""
    import msgspec

    from charter.interop.checkpoint import write

    found = write(model, out)
    say(msgspec.to_builtins(found), as_json, f"Model: {found.folder}")


@group.command("lm-eval")
@click.argument("results", type=click.Path(exists=True, dir_okay=False))
@click.option("--run", required=True, type=_RUN, help="Run folder to keep the figures with.")
@click.option("--model", required=True, help="The run's model that was measured, such as rl_cai.")
@as_json_option
def lm_eval(results: str, run: str, model: str, as_json: bool) -> None:
    """Keep RESULTS of lm-evaluation-harness with a run, so that its report shows them."""
    import msgspec

    from charter.interop.lm_eval import keep

    found = keep(results, run, model)
    text = f"{len(found.measurements)} figures kept in {found.file}"
    say(msgspec.to_builtins(found), as_json, text)
