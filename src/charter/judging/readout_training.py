"""Training a readout judge on labelled pairs: axes, calibration, figures beside a bag of words.

Owns the division of the pairs by prompt (what the card reports on is never trained on), the fit,
the temperature, and the card. Files, models and folders are the caller's; which wording of a
principle asks for which axis is `questions`.

Shape suffixes: N pairs, F features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from charter.errors import TrainingError
from charter.judging.calibration import fit_temperature, reliability
from charter.judging.pairs import LabelledPair
from charter.judging.progress import Progress, silent
from charter.judging.questions import Table, fit_questions
from charter.judging.readout_judge import QUESTION_BIAS, QUESTION_WEIGHTS
from charter.readout.baseline import TextPair, fold_of, pair_agreement
from charter.readout.features import Exchange, FeatureReader
from charter.readout.linear import Card, LinearReadout, fit_pairs
from charter.seeds import derive

STRENGTH = 1e-4
"""Inverse L2 penalty on standardised features; chosen on development files, see docs/log.md."""
_HELD_OUT, _FOLDS = 5, 5
"""One prompt in so many is kept for the figures; folds of the temperature."""
_AT_ONCE = 64
_LEAST = 10
"""Pairs below which there is nothing to train or to report on."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs with the better answer first: features [N, 2, F], and P(first is better) [N]."""

    features: np.ndarray
    texts: list[TextPair]
    prompts: list[str]
    p_N: np.ndarray | None = None

    def part(self, rows: np.ndarray) -> Pairs:
        """Only these rows (boolean [N])."""
        kept = np.flatnonzero(rows)
        return Pairs(
            self.features[kept],
            [self.texts[i] for i in kept],
            [self.prompts[i] for i in kept],
            None if self.p_N is None else self.p_N[kept],
        )

    def __add__(self, other: Pairs) -> Pairs:
        return Pairs(
            np.concatenate([self.features, other.features]),
            self.texts + other.texts,
            self.prompts + other.prompts,
            np.concatenate([self.shares(), other.shares()]),
        )

    def shares(self) -> np.ndarray:
        """P(first is better) [N]; ones for hard labels."""
        return np.ones(len(self.texts)) if self.p_N is None else self.p_N

    def gaps(self, axis_F: np.ndarray) -> np.ndarray:
        """Logits [N] that the first answer is better."""
        return np.asarray((self.features[:, 0] - self.features[:, 1]) @ axis_F)


def read_features(
    reader: FeatureReader,
    pairs: Sequence[LabelledPair],
    *,
    name: str = "pairs",
    progress: Progress = silent,
) -> Pairs:
    """Features of labelled pairs, kept at half precision; ties teach nothing and are left out."""
    clear = [pair.preferred_first() for pair in pairs if pair.p_a != 0.5]
    if not clear:
        raise TrainingError("the pairs are all ties: there is nothing to learn from")
    blocks = []
    for start in range(0, len(clear), _AT_ONCE):
        block = clear[start : start + _AT_ONCE]
        blocks.append(reader.read(list(_exchanges(block))).astype(np.float16))
        progress(name, start + len(block), len(clear))
    features = np.concatenate(blocks).reshape(len(clear), 2, -1)
    texts = [(p.comparison.a, p.comparison.b) for p in clear]
    prompts = [p.comparison.prompt.messages[0].content for p in clear]
    return Pairs(features.astype(np.float32), texts, prompts, np.array([p.p_a for p in clear]))


def fit_axis(pairs: Pairs, *, strength: float = STRENGTH) -> np.ndarray:
    """Direction [F] of the better answer, scaled so that differences are logits."""
    better, worse = pairs.features[:, 0], pairs.features[:, 1]
    return fit_pairs(better, worse, strength=strength, p_N=pairs.p_N)


def train_judge(
    axes: Mapping[str, Pairs],
    reader: FeatureReader,
    table: Table,
    *,
    about: Mapping[str, Any],
    strength: float = STRENGTH,
) -> LinearReadout:
    """A calibrated readout judge. Its figures stand in the card, under `about.figures`.

    Args:
        axes: pairs of every axis, by name.
        reader: reads the model that the pairs' features came from.
        table: questions; an axis that is not in it counts the same under every principle.
        about: further entries of the card.
        strength: inverse L2 penalty on standardised features.

    Raises:
        TrainingError: an axis has too few pairs.
    """
    fitted = {name: fit_calibrated(pairs, name, strength) for name, pairs in axes.items()}
    questions = fit_questions(reader, table, list(axes))
    figures = {name: found for name, (_, found) in fitted.items()}
    card = Card(
        reader.model.identity,
        reader.settings,
        tuple(axes),
        {
            **about,
            "figures": {**figures, "questions": questions.figures},
            "calibration": next(iter(figures.values()))["calibration"],
        },
    )
    extra = {QUESTION_WEIGHTS: questions.weights_KE, QUESTION_BIAS: questions.bias_K}
    weights = np.stack([axis for axis, _ in fitted.values()])
    return LinearReadout(weights, np.zeros(len(weights), np.float32), card, extra)


def fit_calibrated(
    pairs: Pairs, name: str, strength: float = STRENGTH
) -> tuple[np.ndarray, dict[str, Any]]:
    """An axis [F] with its temperature folded in, and figures on pairs of prompts not trained on.

    The temperature comes from five folds of the training part, so the held-out part stays unseen.
    """
    held_out = np.array([derive("held-out", p) % _HELD_OUT == 0 for p in pairs.prompts])
    train, test = pairs.part(~held_out), pairs.part(held_out)
    if min(len(train.texts), len(test.texts)) < _LEAST:
        sizes = f"{len(train.texts)} pairs to train on and {len(test.texts)} held out by prompt"
        raise TrainingError(f"axis {name!r} has {sizes}; it needs at least {_LEAST} of each")
    temperature = _temperature(train, strength)
    axis = fit_axis(train, strength=strength) / np.float32(temperature)
    raw = _figures(test, axis * np.float32(temperature))
    figures = {
        **pair_figures(train, test, axis),
        "temperature": temperature,
        "uncalibrated": {key: raw[key] for key in ("brier", "nll", "ece")},
    }
    return axis, figures


def pair_figures(train: Pairs, test: Pairs, axis_F: np.ndarray | None = None) -> dict[str, Any]:
    """Agreement with people and calibration on pairs not trained on, beside a bag of words.

    Args:
        train: what the axis was fitted to, and the bag of words is.
        test: what the figures are of.
        axis_F: fitted to `train` if not given.
    """
    found = _figures(test, fit_axis(train) if axis_F is None else axis_F)
    return {
        "agreement": found.pop("agreement"),
        "agreement_bag_of_words": pair_agreement(train.texts, test.texts),
        "longer_wins": float(np.mean([len(a) > len(b) for a, b in test.texts])),
        "best_temperature": found.pop("best_temperature"),
        "train_pairs": len(train.texts),
        **found,
    }


def _figures(test: Pairs, axis_F: np.ndarray) -> dict[str, Any]:
    # Half of the pairs are read the other way round, so that targets are not all ones.
    sign = np.where(np.arange(len(test.texts)) % 2 == 0, 1.0, -1.0)
    logits = sign * test.gaps(axis_F)
    targets = np.where(sign > 0, test.shares(), 1 - test.shares()).tolist()
    found = reliability((1 / (1 + np.exp(-logits))).tolist(), targets)
    return {
        "agreement": msgspec.to_builtins(found.pop("accuracy")),
        "best_temperature": fit_temperature(logits.tolist(), targets),
        **found,
    }


def _temperature(train: Pairs, strength: float) -> float:
    fold = fold_of(train.prompts, _FOLDS)
    logits = np.zeros(len(fold))
    for inside in _parts(fold):
        axis = fit_axis(train.part(~inside), strength=strength)
        logits[inside] = train.part(inside).gaps(axis)
    return fit_temperature(logits.tolist(), train.shares().tolist())


def _parts(fold: np.ndarray) -> Iterator[np.ndarray]:
    present = set(fold.tolist())
    if len(present) < 2:
        raise TrainingError("the pairs have too few different prompts to calibrate on")
    for number in sorted(present):
        yield fold == number


def _exchanges(pairs: Sequence[LabelledPair]) -> Iterator[Exchange]:
    for pair in pairs:
        context = pair.comparison.prompt.messages
        yield context, pair.comparison.a
        yield context, pair.comparison.b
