"""The bag of words that every readout is shown beside: TF-IDF of the answers, logistic regression.

A readout that does not beat it, trained and tested on the same rows, is not worth its forward pass.
Knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from charter.seeds import derive

TextPair = tuple[str, str]
"""The better answer, and the other."""
_ENOUGH = 50
"""From so many texts on, words must occur in three of them."""


def pair_gaps(train: Sequence[TextPair], test: Sequence[TextPair]) -> np.ndarray:
    """How much the first answer of each test pair is preferred: logits [n], 0 where unknown."""
    vectors = _vectoriser(2 * len(train))
    try:
        vectors.fit([text for pair in train for text in pair])
    except ValueError:  # not one word occurs often enough
        return np.zeros(len(test))

    def gaps(pairs: Sequence[TextPair]) -> Any:
        first, second = zip(*pairs, strict=True)
        return vectors.transform(first) - vectors.transform(second)

    rows = gaps(train)
    # Each pair enters in both orders, so that the fit cannot depend on which came first.
    both = sparse.vstack([rows, -rows]).astype(np.float32)
    labels = np.repeat([1, 0], len(train))
    model = LogisticRegression(C=1.0, fit_intercept=False, max_iter=300).fit(both, labels)
    return np.asarray(gaps(test) @ model.coef_[0])


def pair_agreement(train: Sequence[TextPair], test: Sequence[TextPair]) -> float:
    """Share of test pairs whose better answer it prefers."""
    return float((pair_gaps(train, test) > 0).mean())


def crossed_pairs(
    pairs: Sequence[TextPair], groups: Sequence[str], *, folds: int = 5
) -> np.ndarray:
    """Logits [n] of every pair, from the pairs of other folds; a group stays in one fold."""
    fold = fold_of(groups, folds)
    found = np.zeros(len(pairs))
    for number in range(folds):
        inside = np.flatnonzero(fold == number).tolist()
        outside = np.flatnonzero(fold != number).tolist()
        if len(inside) and len(outside):
            found[inside] = pair_gaps([pairs[i] for i in outside], [pairs[i] for i in inside])
    return found


def fold_of(groups: Sequence[str], folds: int) -> np.ndarray:
    """Fold [n] of each row, by a hash of its group: a prompt is never on both sides."""
    return np.array([derive("fold", group) % folds for group in groups], dtype=int)


def label_logits(train: Sequence[str], train_labels: np.ndarray, test: Sequence[str]) -> np.ndarray:
    """Logits [n] of single answers, learned from answers with a label of 1 or 0.

    All 0 where there is nothing to learn: labels all alike, or not one word often enough.
    """
    vectors = _vectoriser(len(train))
    if len(np.unique(train_labels)) < 2:
        return np.zeros(len(test))
    try:
        rows = vectors.fit_transform(train)
    except ValueError:  # not one word occurs often enough
        return np.zeros(len(test))
    model = LogisticRegression(C=10.0, max_iter=300, class_weight="balanced")
    model.fit(rows, train_labels)
    return np.asarray(model.decision_function(vectors.transform(test)))


def label_auroc(
    train: Sequence[str], train_labels: np.ndarray, test: Sequence[str], test_labels: np.ndarray
) -> float:
    """AUROC of single answers with a label of 1 or 0."""
    return float(roc_auc_score(test_labels, label_logits(train, train_labels, test)))


def crossed_labels(
    texts: Sequence[str], labels: np.ndarray, groups: Sequence[str], *, folds: int = 5
) -> np.ndarray:
    """Logits [n] of every answer, from the answers of other folds; a group stays in one fold."""
    fold, found = fold_of(groups, folds), np.zeros(len(texts))
    for number in np.unique(fold):
        inside, outside = (np.flatnonzero(chosen) for chosen in (fold == number, fold != number))
        if len(outside):
            train, test = ([texts[i] for i in rows.tolist()] for rows in (outside, inside))
            found[inside] = label_logits(train, labels[outside], test)
    return found


def _vectoriser(texts: int) -> TfidfVectorizer:
    rare = 3 if texts >= _ENOUGH else 1
    return TfidfVectorizer(ngram_range=(1, 2), min_df=rare, sublinear_tf=True, max_features=8000)
