"""Testing a judge by name: the judge, the principles and the thresholds are those of a recipe.

Joins what the acceptance test needs. What is asked and what passes is `judging.acceptance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from charter.constitution import document
from charter.constitution.drawing import tagged
from charter.engine.local import Progress, silent
from charter.errors import InputError
from charter.judging.acceptance import Acceptance, accept
from charter.judging.config import JudgeConfig, resolve
from charter.judging.making import make
from charter.judging.pairs import read_pairs
from charter.judging.paraphrase import with_paraphrases
from charter.judging.trials import PrinciplesOf
from charter.models.embedded import NAME as EMBEDDED
from charter.models.loading import Models
from charter.readout.linear import CARD, load
from charter.recipe import Recipe
from charter.records import Comparison


def run(
    recipe: Recipe,
    judge: str,
    pairs: str | Path,
    *,
    limit: int | None = None,
    progress: Progress = silent,
) -> Acceptance:
    """Test a judge on pairs labelled by people.

    Args:
        recipe: its constitution, its judges, its tags, and its `acceptance:` thresholds.
        judge: `embedded`, the name of one of the recipe's judges, or the folder of a readout.
        pairs: a file that `read_pairs` can read.
        limit: how many of its pairs to use, the first ones.
        progress: told how many pairs are done.

    Raises:
        InputError: the recipe, the judge or the file is wrong; nothing was loaded.
        ModelError: the judge's model cannot be loaded.
    """
    constitution = document.load(recipe.constitution)
    config = judge_config(judge, recipe)
    labelled = read_pairs(pairs, limit=limit).pairs
    with closing(Models(endpoint=recipe.endpoint)) as models:
        made = make(
            config,
            with_paraphrases(constitution, recipe.acceptance.paraphrases),
            models,
            default_model=recipe.feedback.model or recipe.model,
            judges=recipe.judges,
        )
        return accept(
            made.judge,
            labelled,
            constitution,
            recipe.acceptance,
            principles_of=principles_of(recipe, constitution),
            seed=recipe.seed,
            progress=progress,
        )


def judge_config(name: str, recipe: Recipe) -> JudgeConfig:
    """Settings of the judge that a name or a folder means.

    Raises:
        InputError: it means none.
    """
    if name == EMBEDDED:
        return JudgeConfig("readout", model=EMBEDDED)
    folder = Path(name)
    if folder.is_dir():
        if not (folder / CARD).exists():
            expected = "a folder that `charter judge train` wrote"
            raise InputError("no readout in it", file=folder, expected=expected)
        model, _, _ = load(folder).card.model.rpartition("@")
        return JudgeConfig("readout", model=model, path=name)
    return resolve(name, recipe.judges)


def principles_of(recipe: Recipe, constitution: document.Constitution) -> PrinciplesOf:
    """What a pair is judged by: every principle that fits its kind of prompt, by weight."""
    tags = recipe.feedback
    harmful, harmless = (
        [(p.id, p.weight) for p in tagged(constitution, wanted)]
        for wanted in (tags.harmful_tags, tags.harmless_tags)
    )

    def of(comparison: Comparison) -> Sequence[tuple[str, float]]:
        return harmful if comparison.prompt.kind == "redteam" else harmless

    return of
