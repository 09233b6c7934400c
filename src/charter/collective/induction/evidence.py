"""What a vote is worth as evidence: counts with intervals, an exact test, and a gain in nats.

Knows neither judges nor texts: votes and preferences come in as signs.

Shape suffixes: C candidates, N pairs, P features, B relabellings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from charter.collective.induction.ballots import Votes
from charter.records import Record
from charter.seeds import derive
from charter.statistics import Rate, wilson

ROUNDS = 499
"""Relabellings of the permutation test; the smallest p-value is 1 / (ROUNDS + 1)."""
_FLOAT = 1e-5
_COIN = np.array([-1, 1], dtype=np.float32)


class Tally(Record, frozen=True):
    """How the votes of a principle, or of several in order, fit the preferences.

    Attributes:
        agree: pairs where the vote is the preference.
        against: pairs where it is the contrary.
        not_relevant: pairs of which it says nothing.
        unscored: pairs where the judge gave no answer.
        explained: share of the scored pairs that it agrees with.
        accuracy: share of the relevant pairs that it agrees with.
        p: chance of so many agreements, or more, by coin flips (exact binomial, one-sided).
    """

    agree: int
    against: int
    not_relevant: int
    unscored: int
    explained: Rate
    accuracy: Rate
    p: float


def tally(votes_N: Votes, scored_N: NDArray[np.bool_], signs: Sequence[int]) -> Tally:
    """Count votes against preferences."""
    fits_N = votes_N.astype(np.int64) * np.asarray(signs, dtype=np.int64)
    agree, against = int((fits_N > 0).sum()), int((fits_N < 0).sum())
    unscored = int((~scored_N & (fits_N == 0)).sum())
    relevant = agree + against
    return Tally(
        agree,
        against,
        len(signs) - relevant - unscored,
        unscored,
        wilson(agree, len(signs) - unscored),
        wilson(agree, relevant),
        chance(agree, relevant),
    )


def chance(agree: int, relevant: int) -> float:
    """One-sided exact binomial p-value of `agree` or more of `relevant` coin flips."""
    return min(1.0, float(binom.sf(agree - 1, relevant, 0.5))) if relevant else 1.0


def gain(agree: int, against: int) -> float:
    """How much better than coin flips a principle predicts the pairs it speaks of, in nats.

    Its accuracy is Laplace's estimate, so that few pairs promise little. Negative if it is wrong
    more often than right.
    """
    p = (agree + 1) / (agree + against + 2)
    value = agree * math.log(2 * p) + against * math.log(2 * (1 - p))
    return value if agree >= against else -value


def family_wise(votes_PN: Votes, signs: Sequence[int], seed: int) -> NDArray[np.float64]:
    """p-value of each feature [P], for the best of the whole pool (Westfall and Young 1993).

    The preferences are turned at random; the largest |z| of the pool in each round is what chance
    alone can find among so many features, however much they depend on each other. Two-sided.
    """
    if not len(votes_PN):
        return np.empty(0)
    v_PN = votes_PN.astype(np.float32)
    size_P = np.sqrt(np.maximum(1, np.abs(v_PN).sum(1)))
    y_N = np.asarray(signs, dtype=np.float32)
    flips = np.random.default_rng(derive("induce-permutations", seed))
    turned_NB = y_N[:, None] * flips.choice(_COIN, size=(len(y_N), ROUNDS))
    most_B = (np.abs(v_PN @ turned_NB) / size_P[:, None]).max(0)
    own_P = np.abs(v_PN @ y_N) / size_P
    above = (most_B[None, :] >= own_P[:, None] - _FLOAT).sum(1)
    return np.asarray((1 + above) / (ROUNDS + 1), dtype=np.float64)
