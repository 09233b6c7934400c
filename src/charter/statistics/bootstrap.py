"""Bootstrap intervals over clusters, percentile and BCa.

Owns the drawing. Knows nothing of models, scorers or metrics: a statistic comes in as a function of
weights. Prompts are the usual clusters: all that was measured on one prompt is drawn, or left out,
together.

Shape suffixes: D draws, P clusters (prompts), K figures, N values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy.special import ndtr, ndtri

from charter.statistics.rate import Rate

Statistic = Callable[[np.ndarray], np.ndarray]
"""Given weights [D, P] (how often each cluster was drawn), gives figures [D, K]."""

Method = Literal["percentile", "bca"]
"""`percentile` (Efron 1979) is plain; `bca` (Efron 1987) corrects for bias and for skew, at the
cost of one more evaluation a cluster. Prefer it for small samples and for lopsided figures."""

_AT_ONCE = 64
"""Draws are made in blocks, so that memory does not grow with draws times prompts."""


def bootstrap(
    statistic: Statistic,
    clusters: int,
    *,
    seed: int,
    draws: int = 1000,
    confidence: float = 0.95,
    method: Method = "percentile",
) -> tuple[np.ndarray, np.ndarray]:
    """Interval of every figure, by drawing clusters with replacement.

    Args:
        statistic: vectorised over draws; see `Statistic`. It must not depend on the sum of weights.
        clusters: how many there are, at least one.
        seed: the same seed gives the same interval.
        draws: resamples.
        confidence: of the two-sided interval.
        method: see `Method`.

    Returns:
        low ends [K] and high ends [K].
    """
    assert clusters > 0 and draws > 0, (clusters, draws)
    figures_DK = _resampled(statistic, clusters, seed, draws)
    tail = (1 - confidence) / 2
    if method == "percentile" or clusters == 1:
        low_K, high_K = np.quantile(figures_DK, [tail, 1 - tail], axis=0)
        return low_K, high_K
    value_K = statistic(np.ones((1, clusters)))[0]
    bias_K = _bias(figures_DK, value_K)
    skew_K = _acceleration(statistic, clusters)
    low_K = _quantiles(figures_DK, _adjusted(tail, bias_K, skew_K))
    return low_K, _quantiles(figures_DK, _adjusted(1 - tail, bias_K, skew_K))


def bootstrap_mean(
    values: np.ndarray,
    *,
    seed: int,
    clusters: np.ndarray | None = None,
    draws: int = 1000,
    confidence: float = 0.95,
    method: Method = "percentile",
) -> Rate:
    """Mean of values, with its bootstrap interval.

    Args:
        values: [N], finite, at least one.
        seed: of the draws.
        clusters: [N], which prompt each value belongs to; without it every value is its own.
        draws: resamples.
        confidence: of the two-sided interval.
        method: see `Method`.
    """
    values_N = np.asarray(values, dtype=float)
    sum_P, count_P = by_cluster(values_N, clusters)

    def mean(weights_DP: np.ndarray) -> np.ndarray:
        return np.asarray((weights_DP @ sum_P / (weights_DP @ count_P))[:, None])

    low_K, high_K = bootstrap(
        mean, len(sum_P), seed=seed, draws=draws, confidence=confidence, method=method
    )
    return Rate(float(values_N.mean()), float(low_K[0]), float(high_K[0]), len(values_N))


def by_cluster(
    values: np.ndarray, clusters: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of the values of every cluster, [P] and [P], in order of the labels."""
    values_N = np.asarray(values, dtype=float)
    if clusters is None:
        return values_N, np.ones(len(values_N))
    assert len(clusters) == len(values_N), (len(clusters), len(values_N))
    place_N = np.unique(np.asarray(clusters), return_inverse=True)[1]
    return np.bincount(place_N, weights=values_N), np.bincount(place_N).astype(float)


def _resampled(statistic: Statistic, clusters: int, seed: int, draws: int) -> np.ndarray:
    source = np.random.default_rng(seed)
    shares = np.full(clusters, 1 / clusters)
    return np.concatenate(
        [
            statistic(source.multinomial(clusters, shares, size=min(_AT_ONCE, draws - start)))
            for start in range(0, draws, _AT_ONCE)
        ]
    )


def _bias(figures_DK: np.ndarray, value_K: np.ndarray) -> np.ndarray:
    """Normal quantile of the share of draws below the figure itself, a draw equal to it as half."""
    below_K = (figures_DK < value_K).mean(0) + (figures_DK == value_K).mean(0) / 2
    edge = 0.5 / len(figures_DK)
    return np.asarray(ndtri(np.clip(below_K, edge, 1 - edge)))


def _acceleration(statistic: Statistic, clusters: int) -> np.ndarray:
    """Skewness of the figure, from leaving out one cluster at a time (Efron 1987, §6)."""
    left_out = [
        statistic(1.0 - np.eye(clusters)[start : start + _AT_ONCE])
        for start in range(0, clusters, _AT_ONCE)
    ]
    jack_PK = np.concatenate(left_out)
    gap_PK = jack_PK.mean(0) - jack_PK
    spread_K = (gap_PK**2).sum(0) ** 1.5
    # A figure that no cluster moves has no skew.
    return np.where(spread_K > 0, (gap_PK**3).sum(0) / (6 * np.maximum(spread_K, 1e-300)), 0.0)


def _adjusted(tail: float, bias_K: np.ndarray, skew_K: np.ndarray) -> np.ndarray:
    shifted_K = bias_K + ndtri(tail)
    return np.asarray(ndtr(bias_K + shifted_K / (1 - skew_K * shifted_K)))


def _quantiles(figures_DK: np.ndarray, levels_K: np.ndarray) -> np.ndarray:
    pairs = zip(figures_DK.T, levels_K, strict=True)
    return np.array([np.quantile(column, level) for column, level in pairs])
