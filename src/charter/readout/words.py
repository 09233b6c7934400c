"""A linear head over the words of an answer, to stand beside a readout of activations.

TF-IDF of words, pairs of words and pieces of words, and one weight for each: fitted, applied, kept.
Owns the file format: a JSON vocabulary that a person can read, safetensors for the numbers. No
pickle. The two see different things: a small model's activations see what an answer is about, the
words see the wording of a refusal, which it smears out.

Shape suffixes: N texts, V entries of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from charter.errors import ModelError
from charter.records import Record, digest
from charter.store import write_atomic

WEIGHTS, VOCABULARY = "words.safetensors", "words.json"


class Vocabulary(Record, frozen=True):
    """What is counted in a text, in the order of the weights."""

    words: tuple[str, ...]
    """Words and pairs of words."""
    pieces: tuple[str, ...]
    """Two to five characters within a word."""
    first: int
    """Characters of the text that are read."""


class WordsSettings(Record, frozen=True):
    """How a vocabulary is chosen, and how hard its weights are held down."""

    words: int = 8000
    pieces: int = 12000
    rare: int = 3
    """Texts that an entry must occur in."""
    first: int = 600
    """Characters of the text that are read: about as much as the readouts see."""
    strength: float = 10.0
    """Inverse L2 penalty."""


@dataclass(frozen=True)
class WordsHead:
    """z = tfidf(text) · w + b.

    Attributes:
        vocabulary: what is counted.
        idf_V: inverse document frequencies.
        weights_V: one for each entry.
        bias: added after.
    """

    vocabulary: Vocabulary
    idf_V: np.ndarray
    weights_V: np.ndarray
    bias: float

    def apply(self, texts: Sequence[str]) -> np.ndarray:
        """Logits [N]."""
        rows_NV = _rows(self._counters, [text[: self.vocabulary.first] for text in texts])
        return np.asarray(rows_NV @ self.weights_V + self.bias)

    @property
    def identity(self) -> str:
        """Digest of the vocabulary and of every number, at the precision in which it is saved."""
        plain = {name: a.tobytes().hex() for name, a in self._arrays().items()}
        return digest([plain, self.vocabulary], length=12)

    def scaled(self, factor: float) -> WordsHead:
        """The same head with its logits multiplied."""
        return WordsHead(self.vocabulary, self.idf_V, self.weights_V * factor, self.bias * factor)

    def save(self, folder: Path) -> None:
        """Write `words.safetensors` and `words.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self._arrays(), folder / WEIGHTS)
        write_atomic(folder / VOCABULARY, msgspec.json.encode(self.vocabulary))

    @cached_property
    def _counters(self) -> list[TfidfVectorizer]:
        """One for words, one for pieces; an empty half of the vocabulary has none."""
        split = len(self.vocabulary.words)
        halves = (
            (_words(vocabulary=list(self.vocabulary.words)), self.idf_V[:split]),
            (_pieces(vocabulary=list(self.vocabulary.pieces)), self.idf_V[split:]),
        )
        found = []
        for counter, idf in halves:
            if len(idf):
                counter.idf_ = np.asarray(idf, dtype=np.float64)
                found.append(counter)
        return found

    def _arrays(self) -> dict[str, np.ndarray]:
        named = {"idf": self.idf_V, "weights": self.weights_V, "bias": np.array([self.bias])}
        return {name: np.ascontiguousarray(a, dtype=np.float32) for name, a in named.items()}


def fit_words(
    texts: Sequence[str],
    labels_N: np.ndarray,
    *,
    settings: WordsSettings | None = None,
    weights_N: np.ndarray | None = None,
) -> WordsHead:
    """Fit a head on single answers with a label of 1 or 0; classes count alike.

    Args:
        texts: the answers.
        labels_N: 1 or 0.
        settings: of the vocabulary.
        weights_N: how much each text counts; all alike if not given.
    """
    chosen = settings or WordsSettings()
    cut = [text[: chosen.first] for text in texts]
    counters = [
        _words(min_df=chosen.rare, max_features=chosen.words),
        _pieces(min_df=chosen.rare, max_features=chosen.pieces),
    ]
    for counter in counters:
        counter.fit(cut)
    model = LogisticRegression(C=chosen.strength, max_iter=500, class_weight="balanced")
    model.fit(_rows(counters, cut), labels_N, sample_weight=weights_N)
    words, pieces = (tuple(map(str, c.get_feature_names_out())) for c in counters)
    return WordsHead(
        Vocabulary(words, pieces, chosen.first),
        np.concatenate([c.idf_ for c in counters]).astype(np.float32),
        model.coef_[0].astype(np.float32),
        float(np.float32(model.intercept_[0])),
    )


def has_words(folder: Path) -> bool:
    """Whether a folder holds a head."""
    return (folder / VOCABULARY).exists()


def remove_words(folder: Path) -> None:
    """Take a head out of a folder, if it holds one."""
    for name in (WEIGHTS, VOCABULARY):
        (folder / name).unlink(missing_ok=True)


def load_words(folder: Path) -> WordsHead:
    """Read a head that `save` wrote.

    Raises:
        ModelError: the folder holds none, or a damaged one.
    """
    try:
        vocabulary = msgspec.json.decode((folder / VOCABULARY).read_bytes(), type=Vocabulary)
        arrays = load_file(folder / WEIGHTS)
        idf_V, weights_V, (bias,) = (arrays[name] for name in ("idf", "weights", "bias"))
    except (OSError, KeyError, ValueError, SafetensorError, msgspec.MsgspecError) as error:
        raise ModelError(f"no head over words in {folder}: {error}") from error
    if not len(idf_V) == len(weights_V) == len(vocabulary.words) + len(vocabulary.pieces):
        raise ModelError(f"the head over words in {folder} does not fit its vocabulary")
    return WordsHead(vocabulary, idf_V, weights_V, float(bias))


def _rows(counters: Sequence[TfidfVectorizer], texts: Sequence[str]) -> sparse.csr_matrix:
    return sparse.hstack([counter.transform(texts) for counter in counters], format="csr")


def _words(**more: object) -> TfidfVectorizer:
    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, **more)


def _pieces(**more: object) -> TfidfVectorizer:
    return TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, **more)
