"""How many prompts are needed: for an interval of a wanted width, or to see a difference.

Closed forms for shares. Owns no data: guesses come in (the rate, the share of prompts on which two
models differ), a number of prompts goes out. Level and power are those of a two-sided test.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy.special import ndtri

from charter.statistics.rate import Z95

_HALVINGS = 60


def n_for_width(width: float, rate: float = 0.5, *, design_effect: float = 1.0) -> int:
    """Trials after which Wilson's 95 % interval is no wider than `width`, end to end.

    Args:
        width: between 0 and 1; 0.1 is plus or minus five points.
        rate: what is expected; 0.5 needs most.
        design_effect: of clustered answers (see `clusters`), 1 for one answer a prompt.
    """
    assert 0 < width < 1 and 0 <= rate <= 1, (width, rate)
    # width² (n + z²)² = 4 z² (n p q + z²/4), solved for n.
    z2, w2 = Z95**2, width**2
    half = z2 * (w2 - 2 * rate * (1 - rate))
    n = (-half + math.sqrt(half**2 - w2 * z2**2 * (w2 - 1))) / w2
    return max(1, math.ceil(n * design_effect))


def n_for_difference(a: float, b: float, *, power: float = 0.8, level: float = 0.05) -> int:
    """Trials *of each model* to tell two rates apart when each has prompts of its own.

    Two-sample comparison of shares, pooled variance under "no difference" (Fleiss, Levin and Paik
    2003, §4.2, without the continuity correction).
    """
    assert a != b and min(a, b) >= 0 and max(a, b) <= 1, (a, b)
    middle = (a + b) / 2
    null, other = 2 * middle * (1 - middle), a * (1 - a) + b * (1 - b)
    return math.ceil(_needed(a - b, null, other, power, level))


def n_for_paired_difference(
    only_a: float, only_b: float, *, power: float = 0.8, level: float = 0.05
) -> int:
    """Prompts that both models answer, to tell them apart with McNemar's test (Connor 1987).

    Args:
        only_a: share of prompts on which the first alone does it.
        only_b: share on which the second alone does.
        power: chance of finding the difference.
        level: of the two-sided test.
    """
    assert only_a != only_b and min(only_a, only_b) >= 0 and only_a + only_b <= 1, (only_a, only_b)
    differing, gap = only_a + only_b, only_a - only_b
    return math.ceil(_needed(gap, differing, differing - gap**2, power, level))


def detectable_difference(
    n: int, rate: float, *, power: float = 0.8, level: float = 0.05
) -> float | None:
    """Smallest rise over `rate` that `n` trials of each model can show; None if none can."""

    def enough(gap: float) -> bool:
        return n_for_difference(rate, rate + gap, power=power, level=level) <= n

    return _smallest(enough, 1 - rate)


def detectable_paired_difference(
    n: int, differing: float, *, power: float = 0.8, level: float = 0.05
) -> float | None:
    """Smallest difference that `n` shared prompts can show; None if none can.

    Args:
        n: prompts that both models answer.
        differing: share of prompts on which their outcomes differ, either way.
        power: chance of finding the difference.
        level: of the two-sided test.
    """

    def enough(gap: float) -> bool:
        one, other = (differing + gap) / 2, max(0.0, (differing - gap) / 2)
        return n_for_paired_difference(one, other, power=power, level=level) <= n

    return _smallest(enough, differing)


def _needed(gap: float, null: float, other: float, power: float, level: float) -> float:
    """Trials at which a normal test of `gap` has the power; variances a trial, under both."""
    quantiles = (float(ndtri(1 - level / 2)), float(ndtri(power)))
    return ((quantiles[0] * math.sqrt(null) + quantiles[1] * math.sqrt(other)) / gap) ** 2


def _smallest(enough: Callable[[float], bool], most: float) -> float | None:
    """Bisection for the smallest gap in (0, most] that is enough, None if not even `most` is."""
    if most <= 0 or not enough(most):
        return None
    low, high = 0.0, most
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle <= 1e-9:
            break
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
