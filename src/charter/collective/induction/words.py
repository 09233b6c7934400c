"""Words that one answer has and the other has not, as features: what people like to read about.

The pool does not depend on which answer was preferred, so that a test over the whole of it stays
honest. Two kinds: a word (or two in a row) that is there or not, and a contrast of two words that
stand on different sides. A contrast says more: "cat" against "dog", whatever else is in the text.

Shape suffixes: G words, N pairs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import pairwise

import numpy as np

from charter.collective.induction.candidates import Feature, Wording
from charter.records import Comparison

MOST_WORDS, MOST_CONTRASTS = 1200, 300
_EXCLUSIVE = 0.75
"""Share of the pairs with either word in which the two must stand against each other."""
_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_LIBRARY = resources.files("charter.collective.induction") / "library"
_COMMON = frozenset((_LIBRARY / "common_words.txt").read_text(encoding="utf-8").split())
"""Words that say nothing by themselves; a pair of words needs one that is not among them."""


def pool(comparisons: Sequence[Comparison], least: int) -> list[Feature]:
    """Features of words that differ in at least so many pairs, the most frequent first."""
    sides = [(grams(c.a), grams(c.b)) for c in comparisons]
    spread = Counter(gram for a, b in sides for gram in a ^ b)
    ranked = sorted(spread.items(), key=lambda item: (-item[1], item[0]))
    kept = [gram for gram, count in ranked if count >= least][:MOST_WORDS]
    found = [_word(gram) for gram in kept]
    single = [gram for gram in kept if " " not in gram]
    return [*found, *(_contrast(x, y) for x, y in _opposites(single, sides, least))]


@lru_cache(maxsize=100_000)
def grams(text: str) -> frozenset[str]:
    """Words and pairs of neighbouring words of a text, in lower case."""
    tokens = [token.replace("’", "'") for token in _TOKEN.findall(text.lower())]
    pairs = (f"{one} {other}" for one, other in pairwise(tokens) if not {one, other} <= _COMMON)
    return frozenset([*(t for t in tokens if t not in _COMMON and len(t) > 1), *pairs])


@dataclass(frozen=True, slots=True)
class _Has:
    """1 if a text has the word."""

    word: str

    def __call__(self, question: str, answer: str) -> float:
        return float(self.word in grams(answer))


@dataclass(frozen=True, slots=True)
class _Between:
    """1 with the one word only, -1 with the other only."""

    one: str
    other: str

    def __call__(self, question: str, answer: str) -> float:
        found = grams(answer)
        return float(self.one in found) - float(self.other in found)


def _word(gram: str) -> Feature:
    more = Wording(
        f"Mentions “{gram}”",
        f"The assistant speaks of “{gram}”.",
        f"Which answer speaks of “{gram}”?",
    )
    less = Wording(
        f"Leaves out “{gram}”",
        f"The assistant does not speak of “{gram}”.",
        f"Which answer does not speak of “{gram}”?",
    )
    return Feature(f"word:{gram}", "word", _Has(gram), more, less)


def _contrast(one: str, other: str) -> Feature:
    more, less = _rather(one, other), _rather(other, one)
    return Feature(f"contrast:{one}/{other}", "contrast", _Between(one, other), more, less)


def _rather(good: str, bad: str) -> Wording:
    return Wording(
        f"Rather “{good}” than “{bad}”",
        f"The assistant speaks of “{good}” rather than of “{bad}”.",
        f"Which answer speaks of “{good}” rather than of “{bad}”?",
    )


def _opposites(
    words: Sequence[str],
    sides: Sequence[tuple[frozenset[str], frozenset[str]]],
    least: int,
) -> Iterator[tuple[str, str]]:
    """Pairs of words that stand on different sides of the same pairs, the most frequent first."""
    d_GN = np.array(
        [[(w in a) - (w in b) for a, b in sides] for w in words], dtype=np.float32
    ).reshape(len(words), len(sides))
    counts = np.abs(d_GN).sum(1)
    together = np.abs(d_GN) @ np.abs(d_GN).T
    against = (together - d_GN @ d_GN.T) / 2
    share = against / np.maximum(1, counts[:, None] + counts[None, :] - together)
    rows, columns = np.nonzero(np.triu((against >= least) & (share >= _EXCLUSIVE), 1))
    ranked = sorted(
        zip(rows.tolist(), columns.tolist(), strict=True),
        key=lambda ij: (-against[ij], -share[ij], words[ij[0]], words[ij[1]]),
    )
    yield from ((words[i], words[j]) for i, j in ranked[:MOST_CONTRASTS])
