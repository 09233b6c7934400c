"""A linear head over the words of an answer, to stand beside a readout of activations.

TF-IDF of words, signs and pairs of them, and one weight for each: fitted, applied, kept. Owns the
file format: a JSON vocabulary that a person can read, safetensors for the numbers. No pickle. The
two see different things: a small model's activations see what an answer is about, the words see
the wording of a refusal, which the activations smear out.

Shape suffixes: N texts, V entries of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from charter.errors import ModelError
from charter.records import Record, digest
from charter.store import write_atomic

WEIGHTS, VOCABULARY = "words.safetensors", "words.json"
_TOKEN = r"(?u)\w+|[^\w\s]|\n"
"""Words, signs by themselves, and line breaks: a list or a second speaker shows in those."""


class Vocabulary(Record, frozen=True):
    """What is counted in a text, in the order of the weights."""

    entries: tuple[str, ...]
    """Words, signs, and pairs of them."""
    first: int
    """Characters of the text that are read."""


class WordsSettings(Record, frozen=True):
    """How a vocabulary is chosen, and how hard its weights are held down."""

    entries: int = 20_000
    rare: int = 3
    """Texts that an entry must occur in."""
    first: int = 1500
    """Characters of the text that are read."""
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
        rows_NV = self._counter.transform([text[: self.vocabulary.first] for text in texts])
        return np.asarray(rows_NV @ self.weights_V + self.bias)

    @property
    def identity(self) -> str:
        """Digest of the vocabulary and of every number, at the precision in which it is saved."""
        plain = {name: a.tobytes().hex() for name, a in self._arrays().items()}
        return digest([plain, self.vocabulary], length=12)

    def scaled(self, factor: float) -> WordsHead:
        """The same head with its logits multiplied."""
        return replace(self, weights_V=self.weights_V * factor, bias=self.bias * factor)

    def save(self, folder: Path) -> None:
        """Write `words.safetensors` and `words.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self._arrays(), folder / WEIGHTS)
        write_atomic(folder / VOCABULARY, msgspec.json.encode(self.vocabulary))

    @cached_property
    def _counter(self) -> TfidfVectorizer:
        counter = _counter(vocabulary=list(self.vocabulary.entries))
        counter.idf_ = np.asarray(self.idf_V, dtype=np.float64)
        return counter

    def _arrays(self) -> dict[str, np.ndarray]:
        named = {"idf": self.idf_V, "weights": self.weights_V, "bias": np.array([self.bias])}
        return {name: np.ascontiguousarray(a, dtype=np.float32) for name, a in named.items()}


def fit_words(
    texts: Sequence[str], labels_N: np.ndarray, settings: WordsSettings | None = None
) -> WordsHead:
    """Fit a head on single answers with a label of 1 or 0; both classes count alike.

    Args:
        texts: the answers.
        labels_N: 1 or 0.
        settings: of the vocabulary.
    """
    chosen = settings or WordsSettings()
    counter = _counter(min_df=chosen.rare, max_features=chosen.entries)
    rows_NV = counter.fit_transform([text[: chosen.first] for text in texts])
    model = LogisticRegression(
        C=chosen.strength, solver="liblinear", class_weight="balanced", random_state=0
    )
    model.fit(rows_NV, labels_N)
    return WordsHead(
        Vocabulary(tuple(map(str, counter.get_feature_names_out())), chosen.first),
        counter.idf_.astype(np.float32),
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
    if not len(idf_V) == len(weights_V) == len(vocabulary.entries):
        raise ModelError(f"the head over words in {folder} does not fit its vocabulary")
    return WordsHead(vocabulary, idf_V, weights_V, float(bias))


def _counter(**more: object) -> TfidfVectorizer:
    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=_TOKEN, **more)
