"""`charter evaluate`: the stage of a run, or any models side by side."""

from __future__ import annotations

import click

from charter.cli.loop import relabel_option, run_stage
from charter.cli.output import as_json_option, say

_SUITES = (
    "harm, over_refusal, evasiveness, helpfulness, hhh, sycophancy, opinion, truthfulness, bias, "
    "adherence, retention, all, or lm_eval:TASK"
)


@click.command()
@click.argument("recipe", required=False)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--models",
    multiple=True,
    metavar="A B C",
    help="Compare these models; the first is the reference. A name, a folder, or RUN:sl_cai.",
)
@click.option(
    "--suite", "suites", multiple=True, metavar="NAME[=FILE],…", help=f"What to ask: {_SUITES}."
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="First N prompts a suite.")
@click.option(
    "--data", type=click.Path(), help="Folder of the public files.  [default: CHARTER_DATA]"
)
@click.option("--out", type=click.Path(file_okay=False), help="Folder for readings and figures.")
@click.option("--constitution", default="default", show_default=True, help="For `adherence`.")
@click.option("--judge", default="", help="A judge to choose as well: embedded, or a folder.")
@click.option("--rubric", default="", help="A model that grades `harm` by a rubric.")
@click.option("--threshold", type=click.FloatRange(0, 1), default=0.5, show_default=True)
@click.option("--max-tokens", type=click.IntRange(min=1), default=64, show_default=True)
@click.option("--temperature", type=click.FloatRange(min=0), default=0.7, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@relabel_option
@as_json_option
def evaluate(
    recipe: str | None,
    overrides: tuple[str, ...],
    models: tuple[str, ...],
    suites: tuple[str, ...],
    limit: int | None,
    data: str | None,
    out: str | None,
    constitution: str,
    judge: str,
    rubric: str,
    threshold: float,
    max_tokens: int,
    temperature: float,
    seed: int,
    relabel_from: str | None,
    as_json: bool,
) -> None:
    """Measure the start, SL-CAI and RL-CAI models of RECIPE on held-out prompts.

    Earlier stages that have not finished are run first. With --models, compare any models on
    suites instead, prompt by prompt: charter evaluate --models embedded RUN:rl_cai --suite harm,hhh
    """
    if not models:
        if suites:
            raise click.UsageError("--suite needs --models")
        run_stage(recipe or "embedded", overrides, "evaluate", as_json, relabel_from)
        return
    import msgspec

    from charter import assessment
    from charter.display import progress_bars
    from charter.display_assessment import show_comparison
    from charter.models.hf import quiet_loading
    from charter.records import Sampling

    # What follows `--models A` without an option's name are further models.
    more = (recipe, *overrides) if recipe else overrides
    asked = assessment.Asked(
        (*_listed(models), *more),
        _listed(suites) or ("harm", "over_refusal"),
        limit,
        data,
        out,
        constitution,
        judge,
        rubric,
        threshold,
        seed,
        Sampling(max_tokens=max_tokens, temperature=temperature),
    )
    with quiet_loading(), progress_bars(enabled=not as_json) as progress:
        found = assessment.evaluate(asked, progress=progress)
    if as_json:
        say(msgspec.to_builtins(found), True, "")
    else:
        show_comparison(found)


def _listed(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())
