"""Thresholds with a promise: how often harmless traffic will be refused, from finite data.

Pure numbers. Scores of harmless texts that are drawn like the traffic to come go in; a threshold
goes out. Two promises, both for any classifier and any distribution of scores:

    expected    the refusal rate is at most the budget in expectation over the draw of the data:
                conformal risk control, n/(n+1) R + 1/(n+1) <= budget (Angelopoulos et al. 2022)
    confident   it is at most the budget with the given confidence: Clopper and Pearson's bound on
                the k-th largest score, P(Bin(n, budget) <= k) <= 1 - confidence

Neither holds for traffic unlike the data, nor against someone who adapts to the guard.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import beta, binom

from charter.errors import InputError
from charter.records import Record
from charter.statistics import Rate, wilson


class Threshold(Record, frozen=True):
    """A threshold, and what stands behind it."""

    value: float
    """Scores from here on are refused."""
    budget: float
    confidence: float | None
    """None: the promise is in expectation."""
    refused: Rate
    """On the data that it was chosen on."""
    upper: float
    """95 % upper bound (Clopper-Pearson, one-sided) of the true rate at this threshold."""
    n: int


def needed(budget: float, confidence: float | None = None) -> int:
    """The fewest harmless texts with which a budget can be promised.

    Args:
        budget: share of harmless texts that may be refused, between 0 and 1.
        confidence: of the promise; in expectation if not given.
    """
    assert 0 < budget < 1, budget
    if confidence is None:
        return math.ceil(1 / budget - 1 - 1e-9)
    return math.ceil(math.log(1 - confidence) / math.log1p(-budget) - 1e-9)


def allowed(n: int, budget: float, confidence: float | None = None) -> int:
    """How many of `n` harmless texts may be refused; -1 if not even none is enough."""
    if confidence is None:
        return math.floor((n + 1) * budget + 1e-9) - 1
    # ppf gives the first k whose probability is high enough: the one before is still too low.
    k = int(binom.ppf(1 - confidence, n, budget))
    while k >= 0 and binom.cdf(k, n, budget) > 1 - confidence:
        k -= 1
    return k


def threshold(scores: np.ndarray, budget: float, confidence: float | None = None) -> Threshold:
    """The lowest threshold that keeps the promise.

    Args:
        scores: of harmless texts [n], in [0, 1].
        budget: share that may be refused.
        confidence: of the promise; in expectation if not given.

    Raises:
        InputError: there are too few texts, or too many have the highest score there is.
    """
    n, least = len(scores), needed(budget, confidence)
    if n < least:
        promise = "in expectation" if confidence is None else f"with confidence {confidence:g}"
        raise InputError(
            f"{n} harmless texts are too few for a budget of {budget:.4%} {promise}",
            field="benign",
            expected=f"at least {least}",
        )
    passing = np.sort(np.asarray(scores, dtype=float))[::-1][allowed(n, budget, confidence)]
    # The score at this place, and all that tie with it, must pass.
    value = float(np.nextafter(passing, np.inf))
    if value > 1:
        raise InputError(
            "too many harmless texts have the highest score there is", field="benign",
            expected="a classifier that tells them apart",
        )  # fmt: skip
    refused = int((np.asarray(scores) >= value).sum())
    return Threshold(value, budget, confidence, wilson(refused, n), upper_bound(refused, n), n)


def upper_bound(refused: int, n: int, confidence: float = 0.95) -> float:
    """Clopper and Pearson's one-sided upper bound of a rate."""
    return 1.0 if refused >= n else float(beta.ppf(confidence, refused + 1, n - refused))
