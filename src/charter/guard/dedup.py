"""Near-duplicates: MinHash over word trigrams, with an index, in memory that texts do not fill.

Broder 1997: the share of equal positions of two signatures estimates the Jaccard similarity of the
texts' trigram sets. Signatures are cut into bands; only texts with an equal band are compared.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

SIZE = 128
"""Hashes a signature. The estimate's standard error at .6 is .04."""
_ROWS = 4
"""A band. Two texts at .6 share a band of 32 with probability 1 - (1 - .6⁴)³² = .99."""
_WORD = re.compile(r"\w+")
_SOURCE = np.random.default_rng(20240501)
_FACTORS_K = _SOURCE.integers(1, 1 << 63, SIZE, dtype=np.uint64) | np.uint64(1)
_SHIFTS_K = _SOURCE.integers(0, 1 << 63, SIZE, dtype=np.uint64)

Signature = NDArray[np.uint32]


def trigrams(text: str) -> set[str]:
    """Word trigrams of a text, case folded; a text of one or two words is its own only one."""
    words = _WORD.findall(text.casefold())
    if len(words) < 3:
        return {" ".join(words)}
    return {" ".join(words[k : k + 3]) for k in range(len(words) - 2)}


def jaccard(one: str, other: str) -> float:
    """Shared trigrams of two texts as a part of all of theirs, between 0 and 1."""
    a, b = trigrams(one), trigrams(other)
    return len(a & b) / len(a | b)


def signature(text: str) -> Signature:
    """The SIZE smallest hashes, one a hash function (multiply and shift)."""
    hashed = [_hash(gram) for gram in sorted(trigrams(text))]
    hashes_N = np.array(hashed, dtype=np.uint64)
    mixed_KN = hashes_N * _FACTORS_K[:, None] + _SHIFTS_K[:, None]
    smallest_K: Signature = (mixed_KN >> np.uint64(32)).min(axis=1).astype(np.uint32)
    return smallest_K


class SeenTexts:
    """Remembers texts by signature: half a kilobyte each, however long they are.

    Args:
        threshold: estimated similarity from which a text counts as seen.
    """

    def __init__(self, threshold: float = 0.6) -> None:
        self.threshold = threshold
        self._ids: list[str] = []
        self._signatures: list[Signature] = []
        self._bands: dict[tuple[int, bytes], list[int]] = defaultdict(list)

    def add(self, id: str, text: str) -> str:
        """Remember a text, unless one much like it is known.

        Returns:
            id of the first text that is much like it, or "" if it is new.
        """
        fresh = signature(text)
        bands = [(start, fresh[start : start + _ROWS].tobytes()) for start in range(0, SIZE, _ROWS)]
        for place in sorted({place for band in bands for place in self._bands.get(band, ())}):
            if float((self._signatures[place] == fresh).mean()) >= self.threshold:
                return self._ids[place]
        for band in bands:
            self._bands[band].append(len(self._ids))
        self._ids.append(id)
        self._signatures.append(fresh)
        return ""


def _hash(gram: str) -> int:
    return int.from_bytes(hashlib.blake2b(gram.encode(), digest_size=8).digest(), "big")
