"""The run's call cache and its spending caps, as a worker on another machine sees them.

SQLite's file lies where the run folder does, and its locks do not reach over network disks: one
actor beside the run folder holds it, and workers ask that actor.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray

from charter.cache import CallCache
from charter.errors import ModelError
from charter.models.endpoint import EndpointConfig
from charter.models.failures import Usage
from charter.models.spend import Ledger

Spent = tuple[str, int, int]


class CacheKeeper:
    """Holds the cache; runs as a Ray actor on the node of the run folder."""

    def __init__(self, path: Path) -> None:
        self._cache = CallCache(path)

    def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """See `CallCache.get`."""
        return self._cache.get(keys)

    def put(self, answers: dict[str, bytes], spent: Spent | None, cached: int | None) -> None:
        """See `CallCache.put`."""
        self._cache.put(answers, spent=spent, cached=cached)

    def spent(self) -> dict[str, tuple[int, int]]:
        """See `CallCache.spent`."""
        return self._cache.spent()

    def prefix_hits(self) -> dict[str, int]:
        """See `CallCache.prefix_hits`."""
        return self._cache.prefix_hits()


class RemoteCache:
    """Stands for a `CallCache` in a worker."""

    def __init__(self, keeper: Any) -> None:
        self._keeper = keeper

    def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """See `CallCache.get`."""
        found: dict[str, bytes] = ray.get(self._keeper.get.remote(keys))
        return found

    def put(
        self,
        answers: dict[str, bytes],
        *,
        spent: Spent | None = None,
        cached: int | None = None,
    ) -> None:
        """See `CallCache.put`. Returns when the answers are on disk: the worker may die then."""
        ray.get(self._keeper.put.remote(answers, spent, cached))

    def spent(self) -> dict[str, tuple[int, int]]:
        """See `CallCache.spent`."""
        found: dict[str, tuple[int, int]] = ray.get(self._keeper.spent.remote())
        return found

    def prefix_hits(self) -> dict[str, int]:
        """See `CallCache.prefix_hits`."""
        found: dict[str, int] = ray.get(self._keeper.prefix_hits.remote())
        return found


class RemoteLedger:
    """Stands for a `Ledger` in a worker: what all workers have paid counts against the caps.

    Calls under way are known for this worker only. So several workers can pass a cap by the calls
    that they have under way together, which one process cannot.
    """

    def __init__(self, config: EndpointConfig, cache: RemoteCache) -> None:
        self.config, self.cache = config, cache
        self._lock, self._open = threading.Lock(), list[tuple[str, Usage]]()
        self._capped = config.max_tokens_spent is not None or config.max_money is not None

    def reserve(self, model: str, likely: Usage) -> bool:
        """See `Ledger.reserve`."""
        if not self._capped:
            return True
        with self._lock:
            ledger, asked = Ledger(self.config, self.cache.spent()), (model, likely)
            try:
                fits = all(ledger.reserve(*call) for call in [*self._open, asked])
            except ModelError:
                if self._open:
                    return False
                raise
            if fits:
                self._open.append(asked)
            return fits

    def settle(self, model: str, likely: Usage, paid: Usage) -> None:
        """See `Ledger.settle`; what was paid stands in the cache."""
        if self._capped:
            with self._lock:
                self._open.remove((model, likely))
