"""The figure that the whole project passes around: a rate with its interval, and Wilson's.

Owns the one normal quantile behind every 95 % interval. Plain Python, so that the report can use it
without loading numpy.
"""

from __future__ import annotations

import math

from charter.records import Record

Z95 = 1.959964
"""Standard normal quantile of a two-sided 95 % interval."""


class Rate(Record, frozen=True):
    """A share, or another figure, with its 95 % interval and the number of trials."""

    value: float
    low: float
    high: float
    n: int


def wilson(successes: float, n: int) -> Rate:
    """Wilson score interval (Wilson 1927), 95 %.

    Args:
        successes: may be fractional, since a tie counts one half.
        n: trials; with none, nothing is known: value 0 in [0, 1].
    """
    if n == 0:
        return Rate(0.0, 0.0, 1.0, 0)
    p = successes / n
    low, high = score_interval(p, n)
    return Rate(p, low, high, n)


def score_interval(p: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Ends of Wilson's interval for a share `p` of `n` trials.

    Args:
        p: the share.
        n: trials, more than 0; an effective number need not be whole.
        z: quantile of the reference distribution.
    """
    z2 = z * z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    # At 0 and at 1 rounding could leave the rate itself outside by one digit.
    return max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))
