"""Two models on the same prompts: the difference with its interval, and two exact tests.

Pairs are what makes a comparison sharp: how hard a prompt is drops out. A prompt that either model
has no reading of is left out and counted, never taken for a draw.

Shape suffixes: N readings, P clusters (prompts), D draws.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import bdtr

from charter.records import Record
from charter.statistics.bootstrap import Method, bootstrap_mean, by_cluster
from charter.statistics.rate import Z95, Rate

_EXACT_UP_TO = 14
"""Clusters whose signs are all tried (2^14 cases); beyond, signs are drawn."""
_AT_ONCE = 1024
_ROUNDING = 1e-12
"""Sums of the same numbers in another order differ by this much, relatively, and no more."""


class McNemar(Record, frozen=True):
    """McNemar's exact test. `p` is two-sided; `only_a` and `only_b` are the prompts that differ."""

    p: float
    difference: Rate
    only_a: int
    only_b: int
    n: int
    unscored: int


class Permutation(Record, frozen=True):
    """A sign-flip test of the mean difference. `exact`: all flips were tried, none drawn."""

    p: float
    difference: float
    n: int
    unscored: int
    exact: bool


def paired_difference(
    a: np.ndarray,
    b: np.ndarray,
    *,
    clusters: np.ndarray | None = None,
    seed: int = 0,
    draws: int = 1000,
    confidence: float = 0.95,
    method: Method = "percentile",
) -> Rate:
    """Mean of a - b over pairs that both have a reading of, with its bootstrap interval.

    With outcomes of 0 and 1 this is the difference that McNemar's test looks at: prompts on which
    both agree add nothing but their number.

    Args:
        a: readings [N] of one model, nan where there is none.
        b: readings [N] of the other on the same prompts, in the same order.
        clusters: [N], the prompt of each pair; without it every pair is its own.
        seed: of the bootstrap.
        draws: resamples.
        confidence: of the two-sided interval.
        method: see `bootstrap.Method`.

    Returns:
        the difference; without a single pair it is 0, its ends are -inf and inf, and n is 0.
    """
    gap_N, groups_N, _ = _pairs(a, b, clusters)
    if not len(gap_N):
        return Rate(0.0, -np.inf, np.inf, 0)
    return bootstrap_mean(
        gap_N, clusters=groups_N, seed=seed, draws=draws, confidence=confidence, method=method
    )


def mcnemar(a: np.ndarray, b: np.ndarray) -> McNemar:
    """Do two models do it equally often (McNemar 1947; exact binomial form)?

    The interval of the difference is Bonett and Price's (2012, eq. 4): Wald's, with one prompt
    added to each of the two kinds that differ. It is not a point where no prompt differs, as the
    bootstrap's is.

    Args:
        a: outcomes [N] of one model, 0 or 1, nan where there is none.
        b: outcomes [N] of the other on the same prompts, one a prompt.
    """
    gap_N, _, unscored = _pairs(a, b, None)
    assert np.isin(gap_N, (-1, 0, 1)).all(), "outcomes are 0 or 1"
    only_a, only_b = int((gap_N == 1).sum()), int((gap_N == -1).sum())
    tail = float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)) if only_a + only_b else 1.0
    difference = _difference(only_a, only_b, len(gap_N))
    return McNemar(min(1.0, 2 * tail), difference, only_a, only_b, len(gap_N), unscored)


def permutation(
    a: np.ndarray,
    b: np.ndarray,
    *,
    clusters: np.ndarray | None = None,
    seed: int = 0,
    draws: int = 10_000,
) -> Permutation:
    """Is the mean of a - b 0? Two-sided sign-flip test (Fisher 1935, §21), for any readings.

    If the models are alike, either could have given either reading, so every sign is as likely as
    its opposite. Signs are flipped a whole cluster at a time. Few clusters: all flips are tried;
    else `draws` are drawn, and the flip that was seen counts as one of them, so p is never 0.

    Args:
        a: readings [N] of one model, nan where there is none.
        b: readings [N] of the other.
        clusters: [N], the prompt of each pair; without it every pair is its own.
        seed: of the draws.
        draws: flips to draw.
    """
    gap_N, groups_N, unscored = _pairs(a, b, clusters)
    sum_P = by_cluster(gap_N, groups_N)[0]
    moving_P = sum_P[sum_P != 0]
    exact = len(moving_P) <= _EXACT_UP_TO
    seen = abs(float(moving_P.sum())) * (1 - _ROUNDING)
    if exact:
        p = float((np.abs(_all_flips(len(moving_P)) @ moving_P) >= seen).mean())
    else:
        p = (1 + _as_far(moving_P, seen, seed, draws)) / (1 + draws)
    difference = float(gap_N.mean()) if len(gap_N) else 0.0
    return Permutation(p, difference, len(gap_N), unscored, exact)


def _difference(only_a: int, only_b: int, n: int) -> Rate:
    """Difference of two shares on the same prompts; without one nothing is known."""
    if not n:
        return Rate(0.0, -1.0, 1.0, 0)
    value, more_a, more_b = (only_a - only_b) / n, (only_a + 1) / (n + 2), (only_b + 1) / (n + 2)
    middle = more_a - more_b
    half = Z95 * math.sqrt((more_a + more_b - middle**2) / (n + 2))
    low, high = max(-1.0, middle - half), min(1.0, middle + half)
    return Rate(value, min(value, low), max(value, high), n)


def _pairs(
    a: np.ndarray, b: np.ndarray, clusters: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None, int]:
    """Differences of complete pairs, their clusters, and the number of incomplete ones."""
    a_N, b_N = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    assert a_N.shape == b_N.shape, (a_N.shape, b_N.shape)
    gap_N = a_N - b_N
    known_N = ~np.isnan(gap_N)
    groups = None if clusters is None else np.asarray(clusters)[known_N]
    return gap_N[known_N], groups, int((~known_N).sum())


def _all_flips(count: int) -> np.ndarray:
    bits = np.arange(2**count)[:, None] >> np.arange(count) & 1
    return np.asarray(1.0 - 2.0 * bits)


def _as_far(sum_P: np.ndarray, seen: float, seed: int, draws: int) -> int:
    """How many drawn flips lie as far from 0 as what was seen."""
    source, found = np.random.default_rng(seed), 0
    for start in range(0, draws, _AT_ONCE):
        rows = min(_AT_ONCE, draws - start)
        flips_DP = 1.0 - 2.0 * source.integers(0, 2, size=(rows, len(sum_P)))
        found += int((np.abs(flips_DP @ sum_P) >= seen).sum())
    return found
