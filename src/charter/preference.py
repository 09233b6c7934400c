"""Stage: the preference model, trained on soft labels (Bai et al. 2022, §4.1).

Owns which labels become training pairs, whose count for how much, what is held out, and the figures
of the trained model on what was held out. Abstentions never become pairs.

With `principles`, the model also learns from every principle's own vote, the principle's text
standing in the prompt. Asked without one it answers for all of them together, as it always does.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from charter.engine.local import silent
from charter.errors import TrainingError
from charter.judging.human import human_pairs
from charter.judging.scorer_figures import AI, HUMAN, SourcedPair, scorer_figures
from charter.judging.under_principle import under
from charter.records import (
    Checkpoint,
    Comparison,
    Labelled,
    Message,
    Prompt,
    Record,
    Scorer,
    Verdict,
)
from charter.seeds import draws
from charter.store import Manifest, StageFolder
from charter.training.curves import write_curve
from charter.training.examples import Labels, PairExample, pair_example, target
from charter.training.preference import train_preference
from charter.training.reward_model import load_reward
from charter.training.settings import CountOrNone, NotNegative, Share, TrainSettings

STAGE = "preference"


class SourceWeights(Record, frozen=True):
    """How much a pair counts in the loss, by whose label it has; 0 leaves the source out."""

    ai: NotNegative = 1.0
    human: NotNegative = 1.0


class PreferenceConfig(Record, frozen=True):
    """The `preference:` block of a recipe."""

    held_out: Share = 0.2
    """Share of prompts whose pairs are kept for evaluation."""
    centring: NotNegative = 0.01
    """Weight of the penalty that keeps rewards around zero."""
    labels: Labels = "soft"
    """Learn probabilities, or (`hard`) only which answer they prefer."""
    human: str = ""
    """A file of pairs that people labelled, to be learnt from beside the judge's. Those on prompts
    of the evaluation are left out."""
    human_limit: CountOrNone = 0
    """Take the first so many of them; 0 takes all."""
    weights: SourceWeights = SourceWeights()
    """How much the judge's pairs and people's count."""
    principles: bool = False
    """Learn from each principle's vote as well, with the principle's text in the prompt. A pair's
    votes count together as much as the pair."""
    train: TrainSettings = TrainSettings()


@dataclass(frozen=True, slots=True)
class PreferenceDeps:
    """What the stage works with.

    Attributes:
        start: the model whose weights the preference model takes.
        folder: where the checkpoint and the curve go.
        seed: of the split.
        progress: told after every step.
        evaluated: prompts of the evaluation, on which no pair from a file may be.
        principles: texts by id, for `PreferenceConfig.principles`.
    """

    start: Checkpoint
    folder: StageFolder
    seed: int = 0
    progress: Callable[[str, int, int | None], None] = silent
    evaluated: Collection[Prompt] = ()
    principles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A labelled comparison, and what each principle says of it."""

    sourced: SourcedPair
    votes: tuple[tuple[str, float, float], ...] = ()
    """Text of the principle, P(A better) under it, weight; the weights of a pair add up to 1."""

    @property
    def prompt(self) -> Prompt:
        return self.sourced.comparison.prompt


def run(records: Iterable[Labelled], config: PreferenceConfig, *, deps: PreferenceDeps) -> Manifest:
    """Train on the labelled pairs and measure on those held out by prompt.

    Raises:
        TrainingError: every label is an abstention, or nothing is left to train on.
        DataError: the file of people's pairs is none.
    """
    if deps.folder.manifest is not None:
        return deps.folder.manifest
    started = time.monotonic()
    judged = _judged(records, config, deps)
    people, left_out = _from_people(config, deps)
    train, held_out = _split([*judged, *people], config.held_out, deps.seed)
    examples = [one for pair in train for one in _examples(pair, config)]
    if not examples:
        raise TrainingError("no labelled pairs to train a preference model on")
    out = deps.folder.path / "checkpoint"
    trained = train_preference(
        deps.start,
        examples,
        config.train,
        out,
        progress=lambda done, total, _: deps.progress(STAGE, done, total),
        centring=config.centring,
        reference=[_plain(pair) for pair in train],
    )
    write_curve(deps.folder.path, trained.curve)
    notes = {
        "train_pairs": len(train),
        "train_pairs_by_source": dict(Counter(pair.sourced.source for pair in train)),
        "train_rows": len(examples),
        "left_out": left_out,
        **_figures(load_reward(out), held_out),
        "checkpoint": trained.checkpoint,
        "tokens": trained.tokens,
    }
    return deps.folder.finish(time.monotonic() - started, notes)


def evaluate_scorer(scorer: Scorer, pairs: Sequence[SourcedPair]) -> dict[str, Any]:
    """Figures of a scorer against soft labels; see `scorer_figures`."""
    return scorer_figures(scorer, pairs)


def reward_model(folder: Path) -> Scorer:
    """The trained preference model of a finished stage."""
    return load_reward(folder / "checkpoint")


def _judged(
    records: Iterable[Labelled], config: PreferenceConfig, deps: PreferenceDeps
) -> list[_Pair]:
    found = []
    for comparison, label in ((record.comparison, record.label) for record in records):
        if isinstance(label, Verdict):
            source = HUMAN if label.judge.startswith("human:") else AI
            # People say which answer they prefer, not under which principle.
            ask = config.principles and source == AI
            votes = _votes(label, deps.principles) if ask else ()
            found.append(_Pair(SourcedPair(comparison, label.p_a, source), votes))
    return found


def _votes(label: Verdict, texts: Mapping[str, str]) -> tuple[tuple[str, float, float], ...]:
    known = [vote for vote in label.votes if vote.principle in texts and vote.weight > 0]
    total = sum(vote.weight for vote in known)
    return tuple((texts[vote.principle], vote.p_a, vote.weight / total) for vote in known)


def _from_people(
    config: PreferenceConfig, deps: PreferenceDeps
) -> tuple[list[_Pair], dict[str, int]]:
    """People's pairs from the file, if there is one, and how many were left out, by reason."""
    if not config.human:
        return [], {}
    evaluated = {prompt.messages for prompt in deps.evaluated}
    pairs = human_pairs(config.human, limit=config.human_limit or None)
    kept = [pair for pair in pairs if pair.comparison.prompt.messages not in evaluated]
    made = [_Pair(SourcedPair(pair.comparison, pair.p_a, HUMAN)) for pair in kept]
    return made, {"held_out_prompt": len(pairs) - len(kept)}


def _examples(pair: _Pair, config: PreferenceConfig) -> list[PairExample]:
    comparison, p_a = pair.sourced.comparison, target(pair.sourced.p_a, config.labels)
    weight = config.weights.human if pair.sourced.source == HUMAN else config.weights.ai
    if not weight:
        return []
    return [
        pair_example(comparison, p_a, weight),
        *(
            pair_example(_asking(comparison, text), target(p_vote, config.labels), weight * share)
            for text, p_vote, share in pair.votes
        ),
    ]


def _plain(pair: _Pair) -> PairExample:
    return pair_example(pair.sourced.comparison, pair.sourced.p_a)


def _asking(comparison: Comparison, principle: str) -> Comparison:
    return replace(comparison, prompt=under(comparison.prompt, principle))


def _figures(scorer: Scorer, held_out: Sequence[_Pair]) -> dict[str, Any]:
    """On the pairs as they are, and, if it learnt from them, on each principle's votes."""
    found = {"held_out": evaluate_scorer(scorer, [pair.sourced for pair in held_out])}
    asked = [
        SourcedPair(_asking(pair.sourced.comparison, text), p_vote, text)
        for pair in held_out
        for text, p_vote, _ in pair.votes
    ]
    return {**found, "held_out_principles": scorer_figures(scorer, asked)} if asked else found


def _split(pairs: Sequence[_Pair], share: float, seed: int) -> tuple[list[_Pair], list[_Pair]]:
    """By conversation, so that none is on both sides, whoever labelled it."""
    names: dict[tuple[Message, ...], str] = {}
    for pair in pairs:
        names.setdefault(pair.prompt.messages, pair.prompt.id)
    ids = sorted(set(names.values()))
    draws(seed, STAGE).shuffle(ids)
    out = set(ids[: int(len(ids) * share)])
    sides: tuple[list[_Pair], list[_Pair]] = ([], [])
    for pair in pairs:
        sides[names[pair.prompt.messages] in out].append(pair)
    return sides
