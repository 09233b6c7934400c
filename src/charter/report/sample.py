"""A small, fixed sample of a stream of any length, in memory that does not grow with it."""

from __future__ import annotations

import hashlib
import heapq
from typing import Generic, TypeVar

T = TypeVar("T")
_PER_KEY = 32
"""More records than this of one key are not wanted on a page."""


class Sample(Generic[T]):
    """The records of the `size` keys with the smallest hash, seen in any order.

    A bottom-k sample: which keys are in it depends on the keys alone. So the same report is made
    every time, and two streams over the same prompts give the same prompts.
    """

    def __init__(self, size: int) -> None:
        assert size >= 0
        self.size = size
        self._kept: dict[str, list[T]] = {}
        self._heap: list[tuple[int, str]] = []

    def add(self, key: str, record: T) -> None:
        """Offer a record. Records of one key are kept or passed over together."""
        if key not in self._kept and not self._admit(key):
            return
        if len(self._kept[key]) < _PER_KEY:
            self._kept[key].append(record)

    def groups(self) -> list[list[T]]:
        """Kept records, a list a key, by hash of the key; within a key in order of arrival."""
        ordered = sorted(self._heap, reverse=True)
        return [self._kept[key] for _, key in ordered]

    def _admit(self, key: str) -> bool:
        rank = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8])
        entry = (-rank, key)
        if len(self._heap) < self.size:
            heapq.heappush(self._heap, entry)
        elif not self._heap or entry <= self._heap[0]:
            # An evicted key never comes back: the bound only ever falls.
            return False
        else:
            del self._kept[heapq.heapreplace(self._heap, entry)[1]]
        self._kept[key] = []
        return True


class SampleByKind(Generic[T]):
    """One `Sample` a kind of prompt, so that a common kind does not crowd out the others."""

    def __init__(self, sizes: dict[str, int], other: int) -> None:
        self._samples = {kind: Sample[T](size) for kind, size in sizes.items()}
        self._other = Sample[T](other)

    def add(self, kind: str, key: str, record: T) -> None:
        """Offer a record; kinds that were not named share one sample."""
        self._samples.get(kind, self._other).add(key, record)

    def groups(self) -> list[list[T]]:
        """Kept groups, kind after kind."""
        return [g for sample in (*self._samples.values(), self._other) for g in sample.groups()]
