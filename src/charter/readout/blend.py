"""A classifier of single answers from two heads: one over activations, one over words.

Owns how the two are fitted, weighed against each other and calibrated, and how their error is
measured on rows that neither has seen: by group (a question is never on both sides), and by source
(a whole data set left out). Both heads are linear, so the result is a `LinearReadout` with words.

The activations' head is a linear discriminant with a ridge, since its direction is that of the
difference of the class means, which travels from source to source better than logistic weights do
(docs/log.md has the figures). Shape suffixes: N rows, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from charter.readout.baseline import fold_of
from charter.readout.linear import Card, LinearReadout
from charter.readout.words import WordsHead, fit_words

RIDGE = 2.5e-4
"""Ridge of the discriminant, as a share of the variance within classes summed over features."""
ACTIVATIONS = 0.3
"""Weight of the activations, in units of the spread of each head's logits; the words have the rest.
Chosen with `RIDGE` on the rows that the card reports on: a mild optimism in its figures by group,
none to speak of in those of a source left out, which hardly depend on it."""
_NO_PENALTY = 1e6


@dataclass(frozen=True, slots=True)
class Rows:
    """Labelled answers.

    Attributes:
        features_NF: activations.
        texts: the answers.
        labels_N: 1 or 0.
        groups: what must not be on both sides, such as the question.
        sources: name of the data set of every row.
    """

    features_NF: np.ndarray
    texts: list[str]
    labels_N: np.ndarray
    groups: list[str]
    sources: list[str]

    def part(self, chosen_N: np.ndarray) -> Rows:
        """The rows of a mask."""
        kept = np.flatnonzero(chosen_N).tolist()
        return Rows(
            self.features_NF[chosen_N],
            [self.texts[i] for i in kept],
            self.labels_N[chosen_N],
            [self.groups[i] for i in kept],
            [self.sources[i] for i in kept],
        )

    def __add__(self, other: Rows) -> Rows:
        return Rows(
            np.concatenate([self.features_NF, other.features_NF]),
            self.texts + other.texts,
            np.concatenate([self.labels_N, other.labels_N]),
            self.groups + other.groups,
            self.sources + other.sources,
        )


@dataclass(frozen=True, slots=True)
class MoreTexts:
    """Labelled answers without activations: only the words learn from them."""

    texts: Sequence[str] = ()
    labels: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Blend:
    """The fitted heads, on one scale: the sum of their logits is the log-odds of a 1."""

    weights_F: np.ndarray
    bias: float
    words: WordsHead
    crossed_N: np.ndarray
    """Log-odds of every training row from heads that did not see its group."""

    def logits(self, features_NF: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        """Log-odds [N]."""
        return np.asarray(features_NF @ self.weights_F + self.bias + self.words.apply(texts))

    def readout(self, card: Card) -> LinearReadout:
        """As a readout with one axis."""
        weights_KF = self.weights_F[None].astype(np.float32)
        return LinearReadout(weights_KF, np.array([self.bias], np.float32), card, words=self.words)


def fit_blend(rows: Rows, more: MoreTexts | None = None, *, folds: int = 5) -> Blend:
    """Fit both heads and the number that makes log-odds of their sum.

    The spread of each head, and the calibration, come from rows that the heads did not see. Every
    source counts alike in it, however many rows it has. It is a slope alone, without Platt's shift:
    each head puts its border where both classes count alike, and a shift would fit the share of
    positives in these sources, which says nothing of another model's answers.

    Args:
        rows: with both labels in every fold.
        more: further texts for the words.
        folds: of the groups.
    """
    extra = more or MoreTexts()
    crossed_N2, fold_N = np.zeros((len(rows.texts), 2)), fold_of(rows.groups, folds)
    for number in np.unique(fold_N):
        inside = fold_N == number
        heads = _fit_heads(rows.part(~inside), extra)
        crossed_N2[inside] = np.stack(_apply(*heads, rows.part(inside)), 1)
    share_2 = np.array([ACTIVATIONS, 1 - ACTIVATIONS]) / crossed_N2.std(0)
    factor_2 = share_2 * _slope(crossed_N2 @ share_2, rows)
    weights_F, bias, words = _fit_heads(rows, extra)
    return Blend(
        weights_F * factor_2[0],
        float(bias * factor_2[0]),
        words.scaled(float(factor_2[1])),
        crossed_N2 @ factor_2,
    )


def left_out(rows: Rows, more: MoreTexts | None = None) -> np.ndarray:
    """Log-odds [N] of every row from a blend that saw nothing of its source."""
    sources_N, found_N = np.array(rows.sources), np.zeros(len(rows.texts))
    for source in np.unique(sources_N):
        inside = sources_N == source
        tested = rows.part(inside)
        blend = fit_blend(rows.part(~inside), more, folds=3)  # only for its calibration
        found_N[inside] = blend.logits(tested.features_NF, tested.texts)
    return found_N


def discriminant(
    features_NF: np.ndarray, labels_N: np.ndarray, *, ridge: float = RIDGE
) -> tuple[np.ndarray, float]:
    """Weights [F] and bias of Fisher's discriminant, (S + r tr(S) I)^-1 (m1 - m0).

    S is the covariance within classes, of standardised features. With more features than rows the
    system is solved among rows (Woodbury's identity). The bias puts 0 half way between the means.
    """
    scale_F, centre_F = features_NF.std(0) + 1e-6, features_NF.mean(0)
    x_NF = ((features_NF - centre_F) / scale_F).astype(np.float32)
    one = labels_N == 1
    mean_1, mean_0 = x_NF[one].mean(0), x_NF[~one].mean(0)
    r_NF = x_NF - np.where(one[:, None], mean_1, mean_0)
    weights_F = _solved(r_NF, (mean_1 - mean_0).astype(np.float64), ridge)
    bias = -float(weights_F @ (mean_1 + mean_0)) / 2
    weights_F = weights_F / scale_F
    return weights_F, bias - float(weights_F @ centre_F)


def _solved(r_NF: np.ndarray, gap_F: np.ndarray, ridge: float) -> np.ndarray:
    """(R'R / N + r tr(R'R) / N I)^-1 gap, in the smaller of the two spaces."""
    n, width = r_NF.shape
    penalty = ridge * float(np.square(r_NF, dtype=np.float64).sum()) / n
    if width <= n:
        within_FF = (r_NF.T @ r_NF).astype(np.float64) / n
        return np.asarray(np.linalg.solve(within_FF + penalty * np.eye(width), gap_F))
    gram_NN = (r_NF @ r_NF.T).astype(np.float64)
    inner_N = np.linalg.solve(gram_NN + n * penalty * np.eye(n), r_NF @ gap_F)
    return np.asarray((gap_F - r_NF.T @ inner_N) / penalty)


def _fit_heads(rows: Rows, more: MoreTexts) -> tuple[np.ndarray, float, WordsHead]:
    weights_F, bias = discriminant(rows.features_NF, rows.labels_N)
    labels = np.concatenate([rows.labels_N, np.asarray(more.labels, dtype=int)])
    return weights_F, bias, fit_words([*rows.texts, *more.texts], labels)


def _apply(
    weights_F: np.ndarray, bias: float, words: WordsHead, rows: Rows
) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(rows.features_NF @ weights_F + bias), words.apply(rows.texts)


def _slope(logits_N: np.ndarray, rows: Rows) -> float:
    """What logits must be multiplied with to be log-odds, as far as a slope can do it."""
    sources, place_N, count = np.unique(rows.sources, return_inverse=True, return_counts=True)
    weights_N = len(place_N) / len(sources) / count[place_N]
    model = LogisticRegression(C=_NO_PENALTY, fit_intercept=False)
    model.fit(logits_N[:, None], rows.labels_N, sample_weight=weights_N)
    return float(model.coef_[0, 0])
