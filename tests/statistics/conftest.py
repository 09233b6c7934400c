"""Counting how often intervals hold the truth, over many planted worlds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from charter.statistics.rate import Rate

WORLDS = 2000


def coverage(
    world: Callable[[np.random.Generator, int], Rate], truth: float, worlds: int = WORLDS
) -> float:
    """Share of worlds whose interval holds the truth; each world gets a number, for its seed."""
    source = np.random.default_rng(20240601)
    rates = [world(source, number) for number in range(worlds)]
    assert all(rate.low <= rate.value <= rate.high for rate in rates)
    return float(np.mean([rate.low <= truth <= rate.high for rate in rates]))


def honest(share: float) -> bool:
    """Whether 95 % intervals hold the truth in 93 to 97 % of worlds."""
    return 0.93 <= share <= 0.97
