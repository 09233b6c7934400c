"""Shares of answers that come in clusters, such as several answers to each prompt.

Answers to one prompt resemble each other, so n answers tell less than n prompts would. Owns the
interval that knows this; closed form, no drawing.

Shape suffixes: N outcomes, P clusters.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import stdtrit

from charter.records import Record
from charter.statistics.bootstrap import by_cluster
from charter.statistics.rate import Rate, score_interval


class ClusteredRate(Record, frozen=True):
    """A share of clustered outcomes.

    Attributes:
        rate: the share; its `n` counts outcomes.
        clusters: how many there are.
        design_effect: variance over what independent outcomes would have. n divided by it is the
            number of independent outcomes that would tell as much.
    """

    rate: Rate
    clusters: int
    design_effect: float

    @property
    def effective_n(self) -> float:
        """Independent outcomes that would tell as much."""
        return self.rate.n / self.design_effect


def clustered_rate(outcomes: np.ndarray, clusters: np.ndarray) -> ClusteredRate:
    """Share of outcomes with a cluster-robust Wilson interval, 95 %.

    Wilson's interval with the effective number of trials in place of n (Kott and Carr 1997), and
    Student's t with P - 1 degrees of freedom in place of the normal, since the variance is itself
    estimated from P clusters.

    Args:
        outcomes: [N], between 0 and 1, finite; leave out what could not be scored and count it.
        clusters: [N], which prompt each belongs to.
    """
    outcomes_N = np.asarray(outcomes, dtype=float)
    assert np.isfinite(outcomes_N).all(), "unscored outcomes are left out by the caller"
    if not len(outcomes_N):
        return ClusteredRate(Rate(0.0, 0.0, 1.0, 0), 0, 1.0)
    sum_P, count_P = by_cluster(outcomes_N, clusters)
    share, groups = float(outcomes_N.mean()), len(sum_P)
    effect = _design_effect(share, sum_P, count_P)
    if groups == 1:
        # One cluster says nothing of how clusters differ.
        return ClusteredRate(Rate(share, 0.0, 1.0, len(outcomes_N)), 1, effect)
    t = float(stdtrit(groups - 1, 0.975))
    low, high = score_interval(share, len(outcomes_N) / effect, t)
    return ClusteredRate(Rate(share, low, high, len(outcomes_N)), groups, effect)


def _design_effect(share: float, sum_P: np.ndarray, count_P: np.ndarray) -> float:
    """Linearised variance of the share over that of independent outcomes.

    Where all outcomes agree no spread is seen, and each cluster counts as a single outcome. An
    effect under 1 (clusters more alike than chance) is not believed.
    """
    total, groups = float(count_P.sum()), len(sum_P)
    if not 0 < share < 1 or groups == 1:
        return total / groups
    between = float(((sum_P - share * count_P) ** 2).sum()) * groups / (groups - 1)
    effect = between / (total * share * (1 - share))
    return max(1.0, effect) if math.isfinite(effect) else total / groups
