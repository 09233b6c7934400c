"""Principles from preferences: joins the pairs, the judge, the proposing model and the stage.

Owns what a judge's and a proposer's names mean, and where a run keeps its labels. How principles
are learned is `collective.induction`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from msgspec.structs import replace

from charter import feedback
from charter.acceptance import judge_config
from charter.collective.induction import preferences, stage
from charter.collective.induction.candidates import Candidate
from charter.collective.induction.config import InduceConfig
from charter.collective.induction.draft import untested
from charter.collective.induction.matching import match
from charter.collective.induction.preferences import Preferences
from charter.collective.induction.result import Induced
from charter.engine.local import Progress, silent
from charter.errors import DataError, InputError
from charter.impact import has_labels
from charter.judging.making import make
from charter.models.loading import Models
from charter.recipe import Recipe
from charter.records import Checkpoint, Judge, Labelled
from charter.store import RECORDS, RecordLog

RULES, SCRIPTED = stage.RULES, "scripted"


def of_pairs(
    recipe: Recipe,
    pairs: str | Path,
    config: InduceConfig,
    *,
    judge: str = SCRIPTED,
    proposer: str = RULES,
    limit: int | None = None,
    progress: Progress = silent,
) -> Induced:
    """Learn principles from a file of preferences.

    Args:
        recipe: its judges and endpoint.
        pairs: see `preferences.read`.
        config: the choices.
        judge: `scripted`, or what `charter judge test` takes.
        proposer: `rules`, or the name of a model.
        limit: how many pairs to use, the first ones.
        progress: told how many pairs are judged.

    Raises:
        InputError: a name or the file is wrong.
        ModelError: a model cannot be loaded.
    """
    read = preferences.read(pairs, limit=limit)
    return _learned(read, recipe, config, judge, proposer, progress).induced


def of_run(
    recipe: Recipe,
    run: str | Path,
    config: InduceConfig,
    *,
    judge: str = SCRIPTED,
    proposer: str = RULES,
    limit: int | None = None,
    progress: Progress = silent,
) -> Induced:
    """Learn principles from the labels of a run, and compare them with those it was labelled by.

    Arguments and errors are those of `of_pairs`.
    """
    folder = Path(run)
    if not has_labels(folder):
        expected = "a run folder in which `charter label` has finished"
        raise DataError("the labels are not finished", file=folder, expected=expected)
    labels: list[Labelled] = list(RecordLog(folder / feedback.STAGE / RECORDS, Labelled))
    read = preferences.of_labels(folder.name, labels, limit)
    found = _learned(read, recipe, config, judge, proposer, progress)
    learned = [one.id for one in found.induced.principles]
    ids = [comparison.id for comparison in read.comparisons]
    return replace(found.induced, matches=match(learned, found.ballots, ids, labels))


def _learned(
    read: Preferences,
    recipe: Recipe,
    config: InduceConfig,
    judge: str,
    proposer: str,
    progress: Progress,
) -> stage.Outcome:
    if proposer != RULES and judge == SCRIPTED:
        expected = "a judge that reads, such as `embedded`"
        raise InputError(
            f"the judge {SCRIPTED!r} cannot test a model's proposals", expected=expected
        )
    config.check()
    with closing(Models(endpoint=recipe.endpoint)) as models:
        return stage.run(
            read,
            config,
            proposer=None if proposer == RULES else models.get(Checkpoint(proposer)),
            judge_for=None if judge == SCRIPTED else _judge_for(judge, recipe, models),
            progress=progress,
        )


def _judge_for(name: str, recipe: Recipe, models: Models) -> stage.JudgeFor:
    settings = judge_config(name, recipe)

    def judge_for(candidates: Sequence[Candidate]) -> Judge:
        return make(
            settings,
            untested(candidates),
            models,
            default_model=recipe.feedback.model or recipe.model,
            judges=recipe.judges,
        ).judge

    return judge_for
