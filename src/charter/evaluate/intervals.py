"""Intervals: the project's Wilson interval for shares, bootstrap over prompts for the rest.

Pure numpy. Knows nothing of models, scorers or metrics. Prompts are the clusters of the bootstrap:
all that was measured on one prompt is drawn, or left out, together.

Shape suffixes: D draws, P clusters (prompts), K figures.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from charter.statistics import Rate, wilson

Statistic = Callable[[np.ndarray], np.ndarray]
"""Given weights [D, P] (how often each cluster was drawn), gives figures [D, K]."""

_DRAWS_AT_ONCE = 64
"""Draws are made in blocks, so that memory does not grow with draws times prompts."""


def bootstrap(
    statistic: Statistic,
    clusters: int,
    *,
    seed: int,
    draws: int = 1000,
    confidence: float = 0.95,
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile bootstrap (Efron 1979) over clusters.

    Args:
        statistic: vectorised over draws; see `Statistic`.
        clusters: how many there are, at least one.
        seed: the same seed gives the same interval.
        draws: resamples.
        confidence: of the two-sided interval.

    Returns:
        low ends [K] and high ends [K].
    """
    assert clusters > 0 and draws > 0, (clusters, draws)
    source = np.random.default_rng(seed)
    shares = np.full(clusters, 1 / clusters)
    figures = [
        statistic(source.multinomial(clusters, shares, size=min(_DRAWS_AT_ONCE, draws - start)))
        for start in range(0, draws, _DRAWS_AT_ONCE)
    ]
    tail = (1 - confidence) / 2
    low_K, high_K = np.quantile(np.concatenate(figures), [tail, 1 - tail], axis=0)
    return low_K, high_K


def bootstrap_mean(
    values: np.ndarray, *, seed: int, draws: int = 1000, confidence: float = 0.95
) -> Rate:
    """Mean of one value a prompt, with its bootstrap interval; values are finite, at least one."""
    values_P = np.asarray(values, dtype=float)

    def mean(weights_DP: np.ndarray) -> np.ndarray:
        return np.asarray((weights_DP @ values_P / weights_DP.sum(1))[:, None])

    low, high = bootstrap(mean, len(values_P), seed=seed, draws=draws, confidence=confidence)
    return Rate(float(values_P.mean()), float(low[0]), float(high[0]), len(values_P))


def paired_difference(
    a: np.ndarray,
    b: np.ndarray,
    *,
    seed: int = 0,
    draws: int = 1000,
    confidence: float = 0.95,
) -> Rate:
    """Mean of a - b over prompts that both have a reading of, with its bootstrap interval.

    With outcomes of 0 and 1 this is the difference that McNemar's test looks at: prompts on which
    both agree add nothing but their number.

    Args:
        a: readings [P] of one model, nan where there is none.
        b: readings [P] of the other on the same prompts, in the same order.
        seed: of the bootstrap.
        draws: resamples.
        confidence: of the two-sided interval.

    Returns:
        the difference; without a single pair it is 0, its ends are -inf and inf, and n is 0.
    """
    a_P, b_P = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    assert a_P.shape == b_P.shape, (a_P.shape, b_P.shape)
    difference = a_P - b_P
    paired = difference[~np.isnan(difference)]
    if not len(paired):
        return Rate(0.0, -np.inf, np.inf, 0)
    return bootstrap_mean(paired, seed=seed, draws=draws, confidence=confidence)


__all__ = ["Rate", "Statistic", "bootstrap", "bootstrap_mean", "paired_difference", "wilson"]
