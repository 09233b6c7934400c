"""The stop rule: has the held-out score peaked?

Owns the comparison of the best stretch of readings with the latest one. Knows no model.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stretch:
    """Mean of the readings of some consecutive steps, its standard error, and the last step."""

    step: int
    mean: float
    error: float


class Peak:
    """Follows a score from step to step.

    It has peaked when the mean over the latest `window` readings lies more than `z` standard
    errors (of the difference) under that of the best earlier stretch, the two not overlapping.

    Args:
        window: readings that a mean is taken over.
        z: standard errors that count as a fall.
    """

    def __init__(self, window: int, z: float) -> None:
        self.window, self.z = window, z
        self.best: Stretch | None = None
        self.now: Stretch | None = None
        self.at_best = self.past = False
        self._recent: deque[Sequence[float]] = deque(maxlen=window)
        self._since_best = 0

    def add(self, step: int, scores: Sequence[float]) -> None:
        """Take in one step's scores; a step without any is passed over."""
        self.at_best = False
        if not scores:
            return
        self._recent.append(scores)
        self._since_best += 1
        if len(self._recent) < self.window:
            return
        self.now = _stretch(step, [s for scores in self._recent for s in scores])
        if self.best is None or self.now.mean >= self.best.mean:
            self.best, self.at_best, self._since_best = self.now, True, 0
        elif self._since_best >= self.window:
            fall = self.best.mean - self.now.mean
            self.past |= fall > self.z * math.hypot(self.best.error, self.now.error)


def _stretch(step: int, scores: Sequence[float]) -> Stretch:
    n, mean = len(scores), sum(scores) / len(scores)
    variance = sum((s - mean) ** 2 for s in scores) / (n - 1) if n > 1 else math.inf
    return Stretch(step, mean, math.sqrt(variance / n))
