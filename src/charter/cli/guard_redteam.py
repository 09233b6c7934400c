"""`charter guard redteam`: attack a guarded endpoint, and say how often that works."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charter.cli.output import as_json_option, say

if TYPE_CHECKING:
    from charter.guard.redteam.campaign import CampaignConfig, CampaignDeps, Questions
    from charter.guard.redteam.judging import Judge
    from charter.guard.redteam.target import HttpTarget

_FILE = click.Path(exists=True, dir_okay=False)


@click.command()
@click.option("--target", "url", required=True, metavar="URL", help="Endpoint; ends in /v1.")
@click.option("--model", metavar="NAME", help="Model to ask for; else the first that is listed.")
@click.option("--behaviours", type=_FILE, help="What to ask for: JSONL or CSV; else our own.")
@click.option("--text-column", metavar="NAME", help="Column of the behaviour.")
@click.option("--forms", default="all", show_default=True, metavar="A,B", help="Attack forms.")
@click.option("--benign", type=_FILE, help="Harmless requests, sent in the same forms.")
@click.option(
    "--benign-text-column", metavar="NAME", help="[default: --text-column or a usual name]"
)
@click.option("--tasks", type=_FILE, help="Questions with answers, for the jailbreak tax.")
@click.option("--rounds", default=1, show_default=True, type=click.IntRange(1))
@click.option("--guard", metavar="DIR", help="Put this guard before the target, in this process.")
@click.option(
    "--data",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="What the guard was trained on: with --rounds it learns from that and from successes.",
)
@click.option("--staged/--no-staged", default=True, help="Attack the output stage as well.")
@click.option("--limit", type=click.IntRange(1), help="Most rows of a file.")
@click.option("--max-tokens", default=256, show_default=True, type=click.IntRange(1))
@click.option("--concurrency", default=8, show_default=True, type=click.IntRange(1))
@click.option("--retries", default=5, show_default=True, type=click.IntRange(0))
@click.option("--timeout", default=120.0, show_default=True, type=click.FloatRange(0.1))
@click.option("--constitution", default="default", show_default=True, help="A file, or a name.")
@click.option("--cache", default="runs/features/guard", show_default=True, type=click.Path())
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--out",
    default="runs/redteam",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
)
@as_json_option
def redteam(url: str, model: str | None, out: Path, as_json: bool, **options: Any) -> None:
    """Attack an OpenAI-compatible endpoint with every behaviour in every form.

    What worked is judged by scorers that are no part of the guard, and corrected for their errors.
    The key in OPENAI_API_KEY is sent along, if it is set.
    """
    import msgspec

    from charter.cache import CallCache
    from charter.display import progress_bars
    from charter.guard.redteam import campaign, page
    from charter.guard.redteam.target import HttpTarget, discover
    from charter.models.endpoint import EndpointConfig
    from charter.models.hf import quiet_loading

    questions, config = _questions(options), _config(options)
    endpoint = EndpointConfig(
        concurrency=options["concurrency"], retries=options["retries"], timeout_s=options["timeout"]
    )
    found_there = discover(url, model)
    out.mkdir(parents=True, exist_ok=True)
    cache = CallCache(out / "calls.sqlite")
    target = HttpTarget(url, found_there, endpoint, cache)
    try:
        with quiet_loading(), progress_bars(enabled=not as_json) as progress:
            deps = _deps(target, options, out, progress)
            found = campaign.run(questions, config, out, deps=deps)
    finally:
        target.close()
        cache.close()
    said = {**msgspec.to_builtins(found), "out": str(out)}
    say(said, as_json, f"{page.summary(found)}\nWritten: {out / 'redteam.html'}")


def _questions(options: dict[str, Any]) -> Questions:
    from charter.guard import labelled
    from charter.guard.redteam import behaviours
    from charter.guard.redteam.campaign import Questions

    limit, column = options["limit"], options["text_column"]
    benign_column = options["benign_text_column"]
    if options["benign"] and not benign_column:
        benign_column = labelled.shared_column(options["benign"], column)
    asked = behaviours.read(options["behaviours"], "redteam", text=column, limit=limit)
    benign = behaviours.read(options["benign"], "benign", text=benign_column, limit=limit)
    tasks = behaviours.tasks(options["tasks"], limit=limit) if options["tasks"] else ()
    return Questions(asked, benign, tasks)


def _config(options: dict[str, Any]) -> CampaignConfig:
    from charter.guard.redteam.campaign import CampaignConfig
    from charter.guard.redteam.plan import chosen_forms
    from charter.records import Sampling

    sampling = Sampling(max_tokens=options["max_tokens"], temperature=0.0)
    forms = chosen_forms(options["forms"])
    return CampaignConfig(forms, options["rounds"], options["staged"], sampling, options["seed"])


def _deps(target: HttpTarget, options: dict[str, Any], out: Path, progress: Any) -> CampaignDeps:
    from charter.constitution import document
    from charter.guard.redteam.campaign import CampaignDeps
    from charter.guard.redteam.judging import check_held_out

    guard, defence, retrain, places = options["guard"], None, None, list(options["data"])
    if options["data"] and not guard:
        raise click.UsageError("--data is for training the guard again: give --guard DIR")
    if guard:
        from charter.guard import loading
        from charter.guard.redteam import retraining

        places.append(loading.folder_of(guard))
        if options["rounds"] > 1:
            cache = Path(options["cache"])
            retrain = retraining.Refit.of(guard, options["data"], out, cache)
        defence = retraining.defence(guard)
    judge = _judge()
    guards = [target.guard, *([defence.classifier.identity] if defence else [])]
    check_held_out(judge, guards, places)
    constitution = document.load(options["constitution"])
    return CampaignDeps(target, judge, constitution, defence, retrain, progress)


def _judge() -> Judge:
    """The shipped compliance readout, with the error rates on its card, and refusals by wording."""
    from charter.evaluate import error_rates
    from charter.evaluate.refusal import LexicalRefusalScorer
    from charter.evaluate.scorers import ComplianceScorer
    from charter.guard.redteam.judging import Judge
    from charter.models.loading import Models
    from charter.readout.features import FeatureReader
    from charter.readout.library import COMPLIANCE, shipped
    from charter.records import Checkpoint

    model = Models().local(Checkpoint("embedded"))
    readout = shipped(COMPLIANCE, model)
    scorer = ComplianceScorer(FeatureReader(model, readout.card.features), readout)
    notes = {error_rates.NOTE: error_rates.of_scorers([scorer])}
    errors = error_rates.of_notes(notes).get("harmful_compliance")
    threshold = errors.threshold if errors else 0.5
    return Judge(scorer, LexicalRefusalScorer(), threshold, errors)
