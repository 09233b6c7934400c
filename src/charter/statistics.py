"""Intervals that every figure of the project carries. Pure; knows nothing of records' meaning."""

from __future__ import annotations

import math

from charter.records import Record

_Z95 = 1.959964


class Rate(Record, frozen=True):
    """A share with its 95 % interval and the number of trials."""

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
    p, z2 = successes / n, _Z95 * _Z95
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    # At 0 and at 1 rounding could leave the rate itself outside by one digit.
    return Rate(p, max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half)), n)
