"""`charter study …`: the open questions, as commands with figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.output import as_json_option, say

if TYPE_CHECKING:
    from charter.engine.local import Progress
    from charter.records import Sampling
    from charter.studies.running import Outcome

_BIASES = ("length", "agreement", "group", "fact")
_recipe = click.option(
    "--recipe",
    "source",
    default="embedded",
    show_default=True,
    help="Recipe with the model, the judge and the prompts.",
)
_seed = click.option("--seed", type=int, default=0, show_default=True)
_prompts = click.option("--prompts", type=click.IntRange(min=2), metavar="N", help="Prompts asked.")
_samples = click.option(
    "--samples", type=click.IntRange(min=4), metavar="N", help="Answers a prompt."
)
_tokens = click.option(
    "--max-tokens", type=click.IntRange(min=1), metavar="N", help="Longest answer, in tokens."
)


def _out(name: str) -> Callable[[Any], Any]:
    folder = click.Path(file_okay=False)
    return click.option(
        "--out", type=folder, default=f"runs/study-{name}", show_default=True, help="Folder."
    )


@click.group("study")
def group() -> None:
    """Study overoptimisation, miscalibrated critics, and judges weaker than the policy."""


@group.command()
@_recipe
@click.option(
    "--synthetic", is_flag=True, help="A gold reward whose true curve is known; loads no model."
)
@_prompts
@_samples
@_tokens
@click.option("--rl-steps", type=click.IntRange(min=0), metavar="N", help="0 leaves RL out.")
@_seed
@_out("overoptimisation")
@as_json_option
def overoptimisation(
    source: str,
    synthetic: bool,
    prompts: int | None,
    samples: int | None,
    max_tokens: int | None,
    rl_steps: int | None,
    seed: int,
    out: str,
    as_json: bool,
) -> None:
    """How far can the proxy be optimised before held-out scores fall?

    Best of n and RL against the proxy (the recipe's judge) and held-out scorers over KL, with Gao's
    forms fitted, the peak, and whether it is passed.
    """
    from charter import recipe as recipes
    from charter.studies import running
    from charter.studies.overoptimisation import Settings

    given = {
        "prompts": prompts,
        "samples": samples,
        "sampling": _sampling(max_tokens),
        "rl_steps": rl_steps,
        "seed": seed,
    }
    settings = Settings(**_known(given))
    if synthetic:
        _show(lambda _: running.run_synthetic(settings, Path(out)), as_json)
        return
    loaded = recipes.load(source)
    _show(
        lambda progress: running.run_overoptimisation(
            loaded, settings, Path(out), progress=progress
        ),
        as_json,
    )


@group.command()
@_recipe
@click.option("--bias", "biases", multiple=True, type=click.Choice(_BIASES), help="[default: all]")
@click.option(
    "--dose",
    "doses",
    multiple=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Size of the planted bias; may be given again.  [default: 0.5, 1, 2]",
)
@click.option("--rounds", type=click.IntRange(min=2), metavar="K", help="Rounds.  [default: 3]")
@click.option(
    "--train-rounds", type=click.IntRange(min=0), metavar="K", help="Rounds of real fine-tuning."
)
@_prompts
@_samples
@_tokens
@_seed
@_out("miscalibration")
@as_json_option
def miscalibration(
    source: str,
    biases: tuple[str, ...],
    doses: tuple[float, ...],
    rounds: int | None,
    train_rounds: int | None,
    prompts: int | None,
    samples: int | None,
    max_tokens: int | None,
    seed: int,
    out: str,
    as_json: bool,
) -> None:
    """Does a miscalibrated critic make itself worse, and what helps?

    A bias of known size is planted in the recipe's judge; critique, imitation and judging are then
    repeated, with and without remedies.
    """
    from charter import recipe as recipes
    from charter.studies import running
    from charter.studies.miscalibration import Settings

    given = {
        "biases": biases or None,
        "doses": doses or None,
        "rounds": rounds,
        "train_rounds": train_rounds,
        "prompts": prompts,
        "samples": samples,
        "sampling": _sampling(max_tokens),
        "seed": seed,
    }
    settings, loaded = Settings(**_known(given)), recipes.load(source)
    _show(
        lambda progress: running.run_miscalibration(loaded, settings, Path(out), progress=progress),
        as_json,
    )


@group.command()
@_recipe
@click.option(
    "--pairs",
    default="library",
    show_default=True,
    help="Labelled pairs: a file, or the drafts and revisions that are shipped.",
)
@click.option("--limit", type=click.IntRange(min=40), default=240, show_default=True, metavar="N")
@click.option("--judge-model", default="", help="A smaller model, whose view judges get as well.")
@_seed
@_out("oversight")
@as_json_option
def oversight(
    source: str, pairs: str, limit: int, judge_model: str, seed: int, out: str, as_json: bool
) -> None:
    """What happens when the judge is weaker than the policy?

    A grid of judge strength by policy strength: accuracy of the labels, gain of the policy,
    performance gap recovered, and where the labels stop helping.
    """
    from charter import recipe as recipes
    from charter.studies import running
    from charter.studies.oversight import Settings

    loaded = recipes.load(source)
    _show(
        lambda progress: running.run_oversight(
            loaded,
            Settings(seed=seed),
            Path(out),
            pairs=pairs,
            limit=limit,
            judge_model=judge_model,
            progress=progress,
        ),
        as_json,
    )


def _sampling(max_tokens: int | None) -> Sampling | None:
    """Plain sampling, which the studies' KL and shares speak of."""
    from charter.records import Sampling

    return None if max_tokens is None else Sampling(max_tokens=max_tokens, temperature=1.0)


def _known(given: dict[str, Any]) -> dict[str, Any]:
    """What the user gave; the rest has the study's own defaults."""
    return {name: value for name, value in given.items() if value is not None}


def _show(work: Callable[[Progress], Outcome], as_json: bool) -> None:
    """Run a study, and say what it found and where it wrote."""
    from charter.display import progress_bars
    from charter.models.hf import quiet_loading

    with quiet_loading(), progress_bars(enabled=not as_json) as progress:
        found = work(progress)
    head = {"study": found.study, "finding": found.finding, "limits": found.limits}
    lines = [*found.finding, *(f"{kind}: {path}" for kind, path in found.files.items())]
    say({**head, **found.figures, "files": found.files}, as_json, "\n".join(lines))
