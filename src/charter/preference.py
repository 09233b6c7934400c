"""Stage: the preference model, trained on soft labels (Bai et al. 2022, §4.1).

Owns which labels become training pairs, what is held out, and the figures of the trained model on
what was held out. Abstentions never become pairs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charter.engine.local import silent
from charter.errors import TrainingError
from charter.judging.calibration import reliability
from charter.records import Checkpoint, Comparison, Labelled, Record, Scorer, Verdict
from charter.seeds import draws
from charter.store import Manifest, StageFolder
from charter.training.curves import write_curve
from charter.training.examples import PairExample
from charter.training.preference import train_preference
from charter.training.reward_model import load_reward
from charter.training.settings import TrainSettings

STAGE = "preference"


class PreferenceConfig(Record, frozen=True):
    """The `preference:` block of a recipe."""

    held_out: float = 0.2
    """Share of prompts whose pairs are kept for evaluation."""
    centring: float = 0.01
    """Weight of the penalty that keeps rewards around zero."""
    train: TrainSettings = TrainSettings()


@dataclass(frozen=True, slots=True)
class PreferenceDeps:
    """What the stage works with; `start` is the model whose weights the preference model takes."""

    start: Checkpoint
    folder: StageFolder
    seed: int = 0
    progress: Callable[[str, int, int | None], None] = silent


def run(records: Iterable[Labelled], config: PreferenceConfig, *, deps: PreferenceDeps) -> Manifest:
    """Train on the labelled pairs and measure on those held out by prompt.

    Raises:
        TrainingError: every label is an abstention, or nothing is left to train on.
    """
    if deps.folder.manifest is not None:
        return deps.folder.manifest
    started = time.monotonic()
    pairs = [(r.comparison, r.label.p_a) for r in records if isinstance(r.label, Verdict)]
    train, held_out = _split(pairs, config.held_out, deps.seed)
    if not train:
        raise TrainingError("no labelled pairs to train a preference model on")
    out = deps.folder.path / "checkpoint"
    trained = train_preference(
        deps.start,
        [example(comparison, p) for comparison, p in train],
        config.train,
        out,
        progress=lambda done, total, _: deps.progress(STAGE, done, total),
        centring=config.centring,
    )
    write_curve(deps.folder.path, trained.curve)
    notes = {
        "train_pairs": len(train),
        "held_out": evaluate_scorer(load_reward(out), held_out),
        "checkpoint": trained.checkpoint,
        "tokens": trained.tokens,
    }
    return deps.folder.finish(time.monotonic() - started, notes)


def example(comparison: Comparison, p_a: float) -> PairExample:
    """A training pair from a comparison and its soft label."""
    return PairExample(comparison.prompt.messages, comparison.a, comparison.b, p_a)


def evaluate_scorer(scorer: Scorer, pairs: Sequence[tuple[Comparison, float]]) -> dict[str, Any]:
    """Agreement and calibration of a scorer against soft labels; a tie of rewards counts one half.

    Pairs that the scorer cannot score are counted as `unscored`.
    """
    exchanges = [(c.prompt, text) for c, _ in pairs for text in (c.a, c.b)]
    scores = scorer.score(exchanges)
    predicted, targets = [], []
    for i, (_, p_a) in enumerate(pairs):
        a, b = scores[2 * i].value, scores[2 * i + 1].value
        if a is not None and b is not None:
            predicted.append(1 / (1 + math.exp(b - a)))
            targets.append(p_a)
    return {**reliability(predicted, targets), "unscored": len(pairs) - len(predicted)}


def reward_model(folder: Path) -> Scorer:
    """The trained preference model of a finished stage."""
    return load_reward(folder / "checkpoint")


def _split(
    pairs: list[tuple[Comparison, float]], share: float, seed: int
) -> tuple[list[tuple[Comparison, float]], list[tuple[Comparison, float]]]:
    """By prompt, so that no prompt is on both sides."""
    ids = sorted({c.prompt.id for c, _ in pairs})
    draws(seed, STAGE).shuffle(ids)
    out = set(ids[: int(len(ids) * share)])
    return (
        [pair for pair in pairs if pair[0].prompt.id not in out],
        [pair for pair in pairs if pair[0].prompt.id in out],
    )
