"""Calling the classifier without stopping the server, and attributing what goes wrong there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from charter.guard.decision import Classifier
from charter.guard.metrics import Metrics

T = TypeVar("T")


class ScoringError(Exception):
    """The classifier failed on one exchange. `reason` names the kind, never the text."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Scorer:
    """Runs scoring steps: on a thread of their own, or in place for a quick classifier.

    One thread: classifiers need not be thread-safe, and torch has threads of its own.

    Args:
        classifier: what will be called.
        seconds: time for one step; then it counts as failed.
        metrics: where the time of each step is noted.
    """

    def __init__(self, classifier: Classifier, seconds: float, metrics: Metrics) -> None:
        self.classifier, self.seconds, self.metrics = classifier, seconds, metrics
        quick = bool(getattr(classifier, "quick", False))
        self._pool = None if quick else ThreadPoolExecutor(1, thread_name_prefix="scoring")

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, which calls the classifier.

        Raises:
            ScoringError: it raised, or took too long.
        """
        started = time.perf_counter()
        try:
            if self._pool is None:
                return work()
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(self.seconds):
                return await loop.run_in_executor(self._pool, work)
        except TimeoutError as error:
            raise ScoringError("timeout") from error
        except Exception as error:  # a classifier is foreign code: whatever it raises is a failure
            raise ScoringError(type(error).__name__) from error
        finally:
            self.metrics.scoring.observe(time.perf_counter() - started)

    def close(self) -> None:
        """Let the thread end."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
