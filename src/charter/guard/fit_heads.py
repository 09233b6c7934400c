"""Fitting a guard's heads: directions in activations, heads over words, and how they are mixed.

Owns the statistics: every logit that a mixture is fitted on comes from a head that has not seen its
row nor any row made of the same base. Features and labels come in, heads go out. Knows no model, no
file and no constitution.

Shape suffixes: N rows, F features, C categories, P components.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace
from sklearn.linear_model import LogisticRegression

from charter.guard import swim
from charter.guard.smoothing import Smoothing
from charter.guard.token_classifier import Mix
from charter.readout.baseline import fold_of
from charter.readout.linear import fit_labels
from charter.readout.words import WordsHead, WordsSettings, fit_words
from charter.records import Record

FOLDS = 5
_COMPONENTS = 192
_SAMPLE, _ENOUGH = 4000, 50


class HeadSettings(Record, frozen=True):
    """How heads are fitted."""

    strengths: tuple[float, ...] = (1e-6, 1e-5, 1e-4)
    """Inverse L2 penalties on standardised features to choose from, on rows left out."""
    words: WordsSettings = WordsSettings()
    """Of the heads over words."""
    penalty: float = 1e-2
    """Of the squared weights of a head that is fitted on tokens."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows to fit a direction on.

    Attributes:
        features_NF: activations.
        labels_N: 1 harmful, 0 harmless.
        groups: base of each row.
    """

    features_NF: np.ndarray
    labels_N: np.ndarray
    groups: Sequence[str]


@dataclass(frozen=True, slots=True)
class Worded:
    """The same with texts, to fit a head over words on."""

    texts: Sequence[str]
    labels_N: np.ndarray
    groups: Sequence[str]


@dataclass(frozen=True, slots=True)
class FittedHead:
    """A direction, and the logits of its rows by heads that had not seen them."""

    weights_F: np.ndarray
    bias: float
    strength: float
    left_out_N: np.ndarray


def fit_direction(rows: Labelled, strengths: Sequence[float]) -> FittedHead:
    """A logistic head whose strength is chosen by the likelihood of rows left out."""
    crossed = {s: _crossed(rows, s) for s in strengths}
    best = min(strengths, key=lambda s: _surprise(crossed[s], rows.labels_N))
    weights_F, bias = fit_labels(rows.features_NF, rows.labels_N, strength=best)
    return FittedHead(weights_F, bias, best, crossed[best])


def joined(head: FittedHead, rows: Labelled, known_F: np.ndarray) -> FittedHead:
    """One direction of two: a fitted one, and one from elsewhere that saw none of the rows.

    Args:
        head: fitted on the rows.
        rows: decide the share of each.
        known_F: the other direction.
    """
    known_N = rows.features_NF @ known_F
    (a, b), bias = _shares([head.left_out_N, known_N], rows.labels_N)
    return FittedHead(
        a * head.weights_F + b * known_F,
        a * head.bias + bias,
        head.strength,
        a * head.left_out_N + b * known_N + bias,
    )


def fit_word_head(rows: Worded, settings: WordsSettings) -> tuple[WordsHead, np.ndarray]:
    """A head over words, and its logits of rows left out [N]."""
    fold_N, left_out_N = fold_of(rows.groups, FOLDS), np.zeros(len(rows.texts))
    for fold in np.unique(fold_N):
        inside, outside = np.flatnonzero(fold_N == fold), np.flatnonzero(fold_N != fold)
        if len(np.unique(rows.labels_N[outside])) == 2:
            head = _words(rows, outside.tolist(), settings)
            left_out_N[inside] = head.apply([rows.texts[i] for i in inside.tolist()])
    return _words(rows, range(len(rows.texts)), settings), left_out_N


def fit_mix(
    activations_N: np.ndarray,
    words_N: np.ndarray,
    labels_N: np.ndarray,
    prompt_N: np.ndarray | None = None,
) -> Mix:
    """Weights of the logits, on rows that none of the heads has seen. None is negative.

    A head that would get a negative weight is left out: it would lower the score of a text for
    looking harmful.
    """
    columns = [activations_N, words_N, *([] if prompt_N is None else [prompt_N])]
    (activations, words, *prompt), bias = _shares(columns, labels_N)
    return Mix(activations, words, prompt[0] if prompt else 0.0, bias)


def _shares(columns: Sequence[np.ndarray], labels_N: np.ndarray) -> tuple[list[float], float]:
    """Weights of logits, none of them negative, and the bias beside them."""
    shares = [0.0] * len(columns)
    kept = [place for place, values_N in enumerate(columns) if np.ptp(values_N) > 0]
    while kept:
        logits_NC = np.stack([columns[place] for place in kept], 1)
        model = LogisticRegression(C=1.0, max_iter=500, class_weight="balanced")
        model.fit(logits_NC, labels_N)
        weights = dict(zip(kept, map(float, model.coef_[0]), strict=True))
        if min(weights.values()) >= 0:
            for place, weight in weights.items():
                shares[place] = weight
            return shares, float(model.intercept_[0])
        kept = [place for place in kept if weights[place] >= 0]
    return shares, 0.0


def fit_categories(
    features_NF: np.ndarray, categories: Sequence[str], names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Weights [C, F] and biases [C] that tell harmful rows' categories apart.

    Fitted on the principal components, as there are far fewer rows than features.
    """
    basis = Basis.of(features_NF, min(_COMPONENTS, len(features_NF) - 1))
    model = LogisticRegression(C=0.1, max_iter=500, class_weight="balanced")
    model.fit(basis.apply(features_NF), [names.index(category) for category in categories])
    coefficients, intercepts = model.coef_, model.intercept_
    if len(names) == 2:  # two classes share one row
        coefficients = np.concatenate([-coefficients, coefficients])
        intercepts = np.concatenate([-intercepts, intercepts])
    folded = [basis.fold(c, float(b)) for c, b in zip(coefficients, intercepts, strict=True)]
    return np.stack([w for w, _ in folded]), np.array([b for _, b in folded])


@dataclass(frozen=True, slots=True)
class Basis:
    """Standardised features in a few directions: (x - centre) / scale @ directions.

    Attributes:
        centre_F: mean.
        scale_F: standard deviation.
        directions_FP: orthogonal; their coordinates have unit variance.
    """

    centre_F: np.ndarray
    scale_F: np.ndarray
    directions_FP: np.ndarray

    @classmethod
    def of(cls, features_NF: np.ndarray, components: int) -> Basis:
        """The directions of largest variance, of a sample if there are many rows."""
        step = -(-len(features_NF) // _SAMPLE)
        sample = features_NF[::step]
        centre, scale = sample.mean(0), sample.std(0) + 1e-6
        rows = (sample - centre) / scale
        # By the Gram matrix: there are fewer rows than features.
        values, vectors = np.linalg.eigh(rows @ rows.T)
        order = np.argsort(values)[::-1][: min(components, len(sample) - 1)]
        order = order[values[order] > 1e-6 * values[-1]]
        spread = np.sqrt(values[order])
        # Divided once for unit length, and once for unit variance.
        directions = rows.T @ vectors[:, order] / spread
        return cls(centre, scale, directions / (spread / np.sqrt(len(sample))))

    def apply(self, features_NF: np.ndarray) -> np.ndarray:
        """Coordinates [N, P]."""
        return np.asarray(((features_NF - self.centre_F) / self.scale_F) @ self.directions_FP)

    def fold(self, weights_P: np.ndarray, bias: float) -> tuple[np.ndarray, float]:
        """A head on the coordinates, as one on the features."""
        weights_F = self.directions_FP @ weights_P / self.scale_F
        return weights_F.astype(np.float32), bias - float(self.centre_F @ weights_F)


def fit_tokens(
    tokens: Sequence[np.ndarray],
    labels_N: np.ndarray,
    groups: Sequence[str],
    loss: swim.Loss,
    smoothing: Smoothing,
    penalty: float,
) -> tuple[swim.Fit, np.ndarray, float]:
    """A head on every token of an answer.

    Args:
        tokens: coordinates of each answer's tokens [T, P].
        labels_N: 1 or 0.
        groups: base of each row.
        loss: which.
        smoothing: of the logits; its prior is set to that of harmless answers.
        penalty: of the squared weights.

    Returns:
        the head, the peak logits of rows left out [N], and the prior.
    """

    def fitted(rows: np.ndarray) -> swim.Fit:
        chosen = [tokens[i] for i in rows.tolist()]
        return swim.fit(chosen, labels_N[rows], loss, penalty=penalty)

    whole = fitted(np.arange(len(tokens)))
    prior = _prior([t @ whole.weights_F + whole.bias for t in tokens], labels_N)
    smooth = Smoothing(smoothing.kind, smoothing.span, prior)
    fold_N, peaks_N = fold_of(groups, FOLDS), np.zeros(len(tokens))
    for fold in np.unique(fold_N):
        outside = np.flatnonzero(fold_N != fold)
        if len(np.unique(labels_N[outside])) == 2:
            head = fitted(outside)
            for i in np.flatnonzero(fold_N == fold).tolist():
                peaks_N[i] = smooth.peak(tokens[i] @ head.weights_F + head.bias)
    return whole, peaks_N, prior


def _prior(logits: Sequence[np.ndarray], labels_N: np.ndarray) -> float:
    """Mean logit of harmless answers."""
    return float(
        np.mean([z.mean() for z, label in zip(logits, labels_N, strict=True) if not label])
    )


def _crossed(rows: Labelled, strength: float) -> np.ndarray:
    fold_N, found_N = fold_of(rows.groups, FOLDS), np.zeros(len(rows.labels_N))
    for fold in np.unique(fold_N):
        inside, outside = fold_N == fold, fold_N != fold
        if len(np.unique(rows.labels_N[outside])) == 2:
            weights_F, bias = fit_labels(
                rows.features_NF[outside], rows.labels_N[outside], strength=strength
            )
            found_N[inside] = rows.features_NF[inside] @ weights_F + bias
    return found_N


def _surprise(logits_N: np.ndarray, labels_N: np.ndarray) -> float:
    """Mean negative log-likelihood, both labels weighing the same."""
    signs_N = np.where(labels_N == 1, -logits_N, logits_N)
    losses_N = np.logaddexp(0, signs_N)
    return float(losses_N[labels_N == 1].mean() + losses_N[labels_N == 0].mean()) / 2


def _words(rows: Worded, places: Sequence[int], settings: WordsSettings) -> WordsHead:
    if len(places) < _ENOUGH:  # or else no entry might be left
        settings = replace(settings, rare=1)
    return fit_words([rows.texts[i] for i in places], rows.labels_N[list(places)], settings)
