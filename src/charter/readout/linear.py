"""Linear readouts: named axes over a model's features, fitted by logistic regression.

Owns: fitting (on labelled answers or on labelled pairs), applying, and the file format
(safetensors for the weights, JSON for everything a person wants to read). One mechanism serves the
judge, the scorers and, later, the guard's probe. It does not know what an axis is used for.

Shape suffixes: N rows, F features, K axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from sklearn.linear_model import LogisticRegression

from charter.errors import ModelError
from charter.readout.features import FeatureSettings
from charter.readout.words import WordsHead, has_words, load_words, remove_words
from charter.records import Record, digest
from charter.store import write_atomic

WEIGHTS, CARD = "readout.safetensors", "readout.json"


class Card(Record, frozen=True):
    """What a person should know of a readout, and what code must check before applying it."""

    model: str
    """Identity of the model whose features it reads."""
    features: FeatureSettings
    axes: tuple[str, ...]
    about: dict[str, Any] = {}
    """Data, licence, figures, limits."""


@dataclass(frozen=True, slots=True)
class LinearReadout:
    """`K` axes: z = x W^T + b.

    Attributes:
        weights_KF: in the units of the features as read (standardisation is folded in).
        bias_K: added after.
        card: names of the axes, and provenance.
        extra: further arrays that belong to it.
        words: a head over the answers' words, whose logits are added; for a single axis only.
    """

    weights_KF: np.ndarray
    bias_K: np.ndarray
    card: Card
    extra: dict[str, np.ndarray] = field(default_factory=dict)
    words: WordsHead | None = None

    def apply(self, features_NF: np.ndarray) -> np.ndarray:
        """Logits [N, K] of the activations alone."""
        return np.asarray(features_NF @ self.weights_KF.T + self.bias_K)

    def read(self, features_NF: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        """Logits [N, K] of the answers: activations, and words where there is a head over them."""
        logits_NK = self.apply(features_NF)
        if self.words is None:
            return logits_NK
        assert len(self.card.axes) == 1, self.card.axes
        return np.asarray(logits_NK + self.words.apply(texts)[:, None])

    def axis(self, name: str) -> int:
        """Column of an axis."""
        return self.card.axes.index(name)

    @property
    def identity(self) -> str:
        """Digest of every array, at the precision in which it is saved, and of the card."""
        arrays = {"weights": self.weights_KF, "bias": self.bias_K, **self.extra}
        plain = {name: np.asarray(a, np.float32).tobytes().hex() for name, a in arrays.items()}
        words = [] if self.words is None else [self.words.identity]
        return digest([plain, self.card, *words], length=12)

    def save(self, folder: Path) -> None:
        """Write `readout.safetensors`, `readout.json`, and the head over words if it has one."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {"weights": self.weights_KF, "bias": self.bias_K, **self.extra}
        plain = {name: np.ascontiguousarray(a, dtype=np.float32) for name, a in arrays.items()}
        save_file(plain, folder / WEIGHTS)
        remove_words(folder)  # of a readout that lay here before
        if self.words is not None:
            self.words.save(folder)
        write_atomic(folder / CARD, msgspec.json.format(msgspec.json.encode(self.card)))


def load(folder: Path) -> LinearReadout:
    """Read a readout that `save` wrote.

    Raises:
        ModelError: the folder holds none, or a damaged one.
    """
    try:
        card = msgspec.json.decode((folder / CARD).read_bytes(), type=Card)
        arrays = load_file(folder / WEIGHTS)
        weights, bias = arrays.pop("weights"), arrays.pop("bias")
    except (OSError, KeyError, SafetensorError, msgspec.MsgspecError) as error:
        raise ModelError(f"no readout in {folder}: {error}") from error
    words = load_words(folder) if has_words(folder) else None
    return LinearReadout(weights, bias, card, arrays, words)


def fit_pairs(
    better_NF: np.ndarray, worse_NF: np.ndarray, *, strength: float, p_N: np.ndarray | None = None
) -> np.ndarray:
    """Weights [F] of the direction in which the better answer lies (Bradley-Terry, no bias).

    Args:
        better_NF: features of the preferred answers.
        worse_NF: features of the others.
        strength: inverse of the L2 penalty on standardised features.
        p_N: probability that `better` is better, for soft labels; 1 if not given.
    """
    scale = _scale(np.concatenate([better_NF, worse_NF]))
    difference = (better_NF - worse_NF) / scale
    p = np.ones(len(difference)) if p_N is None else p_N
    # Each pair enters in both orders, so that the fit cannot depend on which came first.
    rows = np.concatenate([difference, -difference, difference, -difference])
    labels = np.repeat([1, 0, 0, 1], len(difference))
    weights = np.concatenate([p, p, 1 - p, 1 - p])
    kept = weights > 0
    model = LogisticRegression(C=strength, fit_intercept=False, max_iter=500)
    model.fit(rows[kept], labels[kept], sample_weight=weights[kept])
    return np.asarray(model.coef_[0] / scale, dtype=np.float32)


def fit_labels(
    features_NF: np.ndarray,
    labels_N: np.ndarray,
    *,
    strength: float,
    weights_N: Sequence[float] | np.ndarray | None = None,
) -> tuple[np.ndarray, float]:
    """Weights [F] and bias of a logistic classifier of single answers (label 1 or 0)."""
    scale, centre = _scale(features_NF), features_NF.mean(0)
    model = LogisticRegression(C=strength, max_iter=500, class_weight="balanced")
    model.fit((features_NF - centre) / scale, labels_N, sample_weight=weights_N)
    weights = np.asarray(model.coef_[0] / scale, dtype=np.float32)
    return weights, float(model.intercept_[0] - weights @ centre)


def _scale(features_NF: np.ndarray) -> np.ndarray:
    return np.asarray(features_NF.std(0) + 1e-6)
