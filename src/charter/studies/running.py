"""The three studies joined to models: what a recipe names is loaded, a study is run and written.

Owns which scorer plays which part. The labelling judge of the recipe is the proxy and the critic;
the evaluators, which never labelled or rewarded, are held out. What is measured is the studies'
business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from markupsafe import Markup
from msgspec.structs import replace

from charter.constitution import document
from charter.engine.local import Progress, silent
from charter.evaluate.refusal import LexicalRefusalScorer
from charter.evaluate.scorers import ComplianceScorer, HelpfulnessScorer
from charter.judging.config import resolve
from charter.judging.human import human_pairs
from charter.judging.pairs import LabelledPair
from charter.judging.reward import HARMFUL, Principles, Start, judged
from charter.models.loading import Models
from charter.prompts.chains import worked_chains
from charter.readout.features import FeatureReader
from charter.readout.library import COMPLIANCE, HELPFUL, shipped
from charter.recipe import Recipe
from charter.records import (
    Checkpoint,
    Comparison,
    Message,
    Origin,
    Prompt,
    Record,
    Sampling,
    Scored,
    Scorer,
)
from charter.seeds import draws
from charter.selection import Prompts
from charter.studies import (
    miscalibration,
    miscalibration_sheet,
    overoptimisation,
    overoptimisation_sheet,
    oversight,
    oversight_sheet,
)
from charter.studies.bias_training import Loop
from charter.studies.checkpoints import Visit, train_path
from charter.studies.sheet import Sheet, save
from charter.training.settings import OnlineSettings

LIBRARY = "library"
_AT_ONCE = 64
_EPOCHS, _BATCH = 3.0, 4
"""Of the imitation of a dozen answers: enough steps to move the policy."""


class Outcome(Record, frozen=True):
    """A finished study: what it says, and the files that it wrote, by kind."""

    study: str
    finding: list[str]
    limits: list[str]
    figures: dict[str, Any]
    files: dict[str, str]


class Reversed:
    """1 less a probability, so that more is better. Satisfies `records.Scorer`."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    @property
    def identity(self) -> str:
        """The other scorer's, marked."""
        return f"1-{self.scorer.identity}"

    def score(self, exchanges: Sequence[tuple[Prompt, str]]) -> list[Scored]:
        """One reading an exchange; what could not be scored stays so."""
        read = self.scorer.score(exchanges)
        return [s if s.value is None else Scored(1.0 - s.value) for s in read]


def run_synthetic(settings: overoptimisation.Settings, out: Path) -> Outcome:
    """The overoptimisation study on a gold reward whose curves are known."""
    found = overoptimisation.run_synthetic(settings)
    return _written(
        out, overoptimisation_sheet.sheet(found), found, overoptimisation_sheet.charts(found)
    )


def run_overoptimisation(
    recipe: Recipe,
    settings: overoptimisation.Settings,
    out: Path,
    *,
    progress: Progress = silent,
) -> Outcome:
    """The overoptimisation study on the red-team prompts of a recipe.

    Raises:
        InputError: the judge cannot be used as a proxy, or is among the evaluators.
        WorkError: a model cannot be loaded, or training failed.
    """
    prompts = [p for p in Prompts(recipe).pairs if p.kind == HARMFUL][: settings.prompts]

    def train(proxy: Scorer) -> list[Visit]:
        online = OnlineSettings(
            steps=settings.rl_steps,
            prompts_per_step=min(4, len(prompts)),
            max_new_tokens=settings.sampling.max_tokens,
            temperature=settings.sampling.temperature or 1.0,
            learning_rate=settings.rl_learning_rate,
            beta=settings.rl_beta,
            seed=settings.seed,
        )
        start = Checkpoint(recipe.model)
        return train_path(start, prompts, proxy, online, out / "rl", progress=progress)

    with closing(Models()) as models:
        deps = overoptimisation.Deps(
            models.get(Checkpoint(recipe.model)),
            prompts,
            critic(recipe, models, settings.sampling),
            held_out(models),
            train,
            progress,
        )
        found = overoptimisation.run(settings, deps=deps)
    return _written(
        out, overoptimisation_sheet.sheet(found), found, overoptimisation_sheet.charts(found)
    )


def run_miscalibration(
    recipe: Recipe, settings: miscalibration.Settings, out: Path, *, progress: Progress = silent
) -> Outcome:
    """The miscalibration study with a recipe's model and judge.

    Raises:
        InputError: the judge cannot be used as a critic.
        WorkError: a model cannot be loaded, or training failed.
    """
    with closing(Models()) as models:
        start = Checkpoint(recipe.model)
        policy, base = models.local(start), critic(recipe, models, settings.sampling)
        reader = FeatureReader(policy)

        def features(exchanges: Sequence[tuple[Prompt, str]]) -> np.ndarray:
            return reader.read([(prompt.messages, text) for prompt, text in exchanges])

        train = replace(recipe.sft.train, epochs=_EPOCHS, batch_size=_BATCH, seed=settings.seed)
        loop = Loop(start, models.local, base, train, out, progress)
        deps = miscalibration.Deps(policy, base, features, loop.run, progress)
        found = miscalibration.run(settings, deps=deps)
    return _written(
        out, miscalibration_sheet.sheet(found), found, miscalibration_sheet.charts(found)
    )


def run_oversight(
    recipe: Recipe,
    settings: oversight.Settings,
    out: Path,
    *,
    pairs: str = LIBRARY,
    limit: int = 240,
    judge_model: str = "",
    progress: Progress = silent,
) -> Outcome:
    """The oversight study on labelled pairs, read with a recipe's model.

    Args:
        recipe: names the model.
        settings: the grid.
        out: folder to write.
        pairs: a file of labelled pairs, or `library`: drafts and revisions that are shipped.
        limit: pairs to use.
        judge_model: another model, usually a smaller one, whose view judges get as well.
        progress: told how many pairs are read.

    Raises:
        InputError: the file cannot be used.
        WorkError: a model cannot be loaded, or there are too few pairs.
    """
    labelled = library_pairs() if pairs == LIBRARY else human_pairs(pairs)
    clear, ties = oversight.clear_pairs(labelled[:limit])
    with closing(Models()) as models:
        reader = FeatureReader(models.local(Checkpoint(recipe.model)), keep=0)
        features = _read(reader, clear, recipe.model, progress)
        layers = oversight.layer_views(features, reader.width // reader.model.hidden_size)
        views = {oversight.WORDS: oversight.word_view(clear), **layers}
        if judge_model:
            other = FeatureReader(models.local(Checkpoint(judge_model)), keep=0)
            views[judge_model] = _read(other, clear, judge_model, progress)
        seen = oversight.Views(views, [*layers][-1], reader.model.identity)
        found = oversight.run(clear, seen, settings, source=pairs, ties=ties)
    return _written(out, oversight_sheet.sheet(found), found, oversight_sheet.charts(found))


def critic(recipe: Recipe, models: Models, sampling: Sampling) -> Scorer:
    """The recipe's labelling judge as a scorer of single answers."""
    config, judges = recipe.feedback, recipe.all_judges()
    constitution = document.load(recipe.constitution)
    tags = config.harmful_tags, config.harmless_tags
    return judged(
        resolve(config.judge, judges),
        models,
        principles=Principles(constitution, *tags, recipe.seed),
        start=Start(models.get(Checkpoint(recipe.model)), sampling, recipe.seed),
        default_model=config.model or recipe.model,
        judges=judges,
    ).scorer


def held_out(models: Models) -> dict[str, Scorer]:
    """The evaluators: two readouts of the embedded model, and a list of wordings."""
    local = models.local(Checkpoint("embedded"))
    compliance, helpful = shipped(COMPLIANCE, local), shipped(HELPFUL, local)
    reader = FeatureReader(local, compliance.card.features)
    return {
        "harmless": Reversed(ComplianceScorer(reader, compliance)),
        "helpful": HelpfulnessScorer(reader, helpful),
        "declines": LexicalRefusalScorer(),
    }


def library_pairs() -> list[LabelledPair]:
    """Shipped drafts and their revisions, the revision being the better one, in random order."""
    found = []
    for chain in worked_chains():
        if chain.draft.strip() == chain.revision.strip():
            continue
        prompt = Prompt(chain.id, (Message("user", chain.prompt),), chain.kind, chain.category)
        origin = Origin("library", "people")
        pair = LabelledPair(Comparison(chain.id, prompt, chain.revision, chain.draft, origin), 1.0)
        found.append(pair.swap() if draws("oversight", chain.id).random() < 0.5 else pair)
    return sorted(found, key=lambda pair: draws("order", pair.comparison.id).random())


def _read(
    reader: FeatureReader, labelled: Sequence[LabelledPair], name: str, progress: Progress
) -> np.ndarray:
    """Features [N, 2, F] of both answers of every pair."""
    blocks = []
    for start in range(0, len(labelled), _AT_ONCE):
        part = labelled[start : start + _AT_ONCE]
        both = [
            (pair.comparison.prompt.messages, text)
            for pair in part
            for text in (pair.comparison.a, pair.comparison.b)
        ]
        blocks.append(reader.read(both).reshape(len(part), 2, -1))
        progress(name, start + len(part), len(labelled))
    return np.concatenate(blocks)


def _written(out: Path, sheet: Sheet, found: Record, charts: Mapping[str, Markup]) -> Outcome:
    figures: dict[str, Any] = msgspec.to_builtins(found)
    files = save(out, sheet, figures, charts)
    return Outcome(sheet.study, sheet.finding, sheet.limits, figures, files)
