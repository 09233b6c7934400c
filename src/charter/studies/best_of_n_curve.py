"""What the best of n answers is worth, for every n, from one pool of samples.

Owns the unbiased estimator of Nakano et al. 2021 (arXiv 2112.09332, app. I), which Gao et al. 2022
(arXiv 2210.10760) use too. With N samples of one prompt sorted by the proxy,
E[score of the best of n] = Σ_i C(i-1, n-1) / C(N, n) · score_(i). No answer is sampled anew.
Knows no model: readings come in as arrays.

Shape suffixes: P prompts, N samples, K values of n.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln

_STEPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)


def grid(largest: int) -> tuple[int, ...]:
    """Values of n up to the largest, about two a doubling; the largest is among them."""
    return (*(n for n in _STEPS if n < largest), largest)


def rank_weights(n: int, samples: int) -> np.ndarray:
    """Chance [N] that the sample of each rank (worst first) is the best of n drawn without return.

    Args:
        n: answers drawn, at most `samples`.
        samples: size of the pool.
    """
    assert 1 <= n <= samples, (n, samples)
    rank_N = np.arange(1, samples + 1)
    found_N = np.zeros(samples)
    reached = rank_N >= n
    found_N[reached] = np.exp(
        _log_choose(rank_N[reached] - 1, n - 1) - _log_choose(np.array([samples]), n)
    )
    return found_N


def best_of_n_scores(proxy_N: np.ndarray, score_N: np.ndarray, ns: Sequence[int]) -> np.ndarray:
    """Expected score [K] of the answer that the proxy likes best among n, for one prompt.

    Args:
        proxy_N: readings of the proxy, finite.
        score_N: readings of the scorer that measures, finite.
        ns: how many answers are drawn, each at most N.

    Answers that the proxy cannot tell apart are as likely to win as each other.
    """
    order_N = np.argsort(proxy_N, kind="stable")
    _, place_N = np.unique(proxy_N, return_inverse=True)
    tied_N = (np.bincount(place_N, weights=score_N) / np.bincount(place_N))[place_N]
    return np.array([rank_weights(n, len(proxy_N)) @ tied_N[order_N] for n in ns])


def usable_prompts(*readings_PN: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Samples [P, N] that every scorer has read, and prompts [P] with at least half of theirs."""
    known_PN = np.logical_and.reduce([np.isfinite(reading) for reading in readings_PN])
    count_P = known_PN.sum(1)
    return known_PN, (count_P >= 2) & (2 * count_P >= known_PN.shape[1])


def _log_choose(of: np.ndarray, k: int) -> np.ndarray:
    return np.asarray(gammaln(of + 1) - gammaln(k + 1) - gammaln(of - k + 1))
