"""How well scores rank: areas under two curves, and recall at a rate of false alarms.

Pure numpy. Scores of answers that do it (positives) should be higher than of those that do not.
Unscored answers are left out, and counted, by the caller.

Shape suffixes: N scores, A positives, B negatives, D draws, U distinct scores.
"""

from __future__ import annotations

import math

import numpy as np

from charter.errors import InputError
from charter.records import Record
from charter.statistics.rate import Z95, Rate, score_interval

_AT_ONCE = 64


class Recall(Record, frozen=True):
    """Recall at a false-alarm rate; `threshold` is the score above which an alarm is raised."""

    recall: Rate
    threshold: float
    false_alarms: Rate


def auroc(scores: np.ndarray, labels: np.ndarray) -> Rate:
    """P(a positive scores above a negative), ties one half, with DeLong's interval.

    The variance is DeLong et al.'s (1988), the interval symmetric in the log-odds of the area,
    which keeps it inside [0, 1]. For a perfect ranking there is no variance to see: the interval
    is then Wilson's for as many trials as the smaller group has members.

    Args:
        scores: [N], finite.
        labels: [N], 1 or 0.

    Returns:
        the area; `n` counts positives and negatives.

    Raises:
        InputError: the labels are all the same.
    """
    a_A, b_B = _split(scores, labels)
    above_A, below_B = _placements(a_A, b_B), 1 - _placements(b_B, a_A)
    area = float(above_A.mean())
    if not 0 < area < 1 or min(len(a_A), len(b_B)) < 2:
        low, high = score_interval(area, min(len(a_A), len(b_B)))
        return Rate(area, low, high, len(a_A) + len(b_B))
    variance = above_A.var(ddof=1) / len(a_A) + below_B.var(ddof=1) / len(b_B)
    low, high = _logit_interval(area, math.sqrt(variance))
    return Rate(area, low, high, len(a_A) + len(b_B))


def auprc(scores: np.ndarray, labels: np.ndarray) -> Rate:
    """Average precision: mean, over positives, of the precision at their score.

    The variance is the delta method's (each score's influence, Efron 1982, §6), the interval
    symmetric in the log-odds, as Boyd, Eng and Page (2013) advise; their own variance of a binomial
    share was too wide here (98 % coverage). The figure depends on the share of positives (a scorer
    at chance has that share), so it compares scorers on one set only.

    Args:
        scores: [N], finite.
        labels: [N], 1 or 0.

    Raises:
        InputError: the labels are all the same.
    """
    a_A, b_B = _split(scores, labels)
    right_A, wrong_A = _passing(a_A, b_B)
    value = float((right_A / (right_A + wrong_A)).mean())
    if value >= 1 or min(len(a_A), len(b_B)) < 2:
        low, high = score_interval(value, min(len(a_A), len(b_B)))
    else:
        low, high = _logit_interval(value, _precision_error(a_A, b_B, right_A, wrong_A))
    return Rate(value, low, high, len(a_A) + len(b_B))


def recall_at_fpr(
    scores: np.ndarray, labels: np.ndarray, rate: float, *, seed: int = 0, draws: int = 500
) -> Recall:
    """Share of positives above the threshold that no more than `rate` of negatives pass.

    The interval carries the doubt about the threshold too: both groups are drawn anew, each draw
    finds its own threshold, and the interval is mean ± 1.96 standard deviations of the recalls with
    z²/2 hits and misses added (Zhou and Qin 2005, "BTII").

    Args:
        scores: [N], finite.
        labels: [N], 1 or 0.
        rate: of false alarms, between 0 and 1. Under 1 / negatives no negative may pass.
        seed: of the draws.
        draws: resamples.

    Returns:
        the recall (`n` counts positives), its threshold, and the false-alarm rate on these
        negatives.

    Raises:
        InputError: the labels are all the same.
    """
    assert 0 <= rate < 1, rate
    a_A, b_B = _split(scores, labels)
    b_B = np.sort(b_B)[::-1]
    threshold = float(b_B[_may_pass(rate, len(b_B))])
    value = float((a_A > threshold).mean())
    recall_D = _redrawn(np.sort(a_A), b_B, rate, seed, draws)
    trials, z2 = len(a_A), Z95**2
    padded_D = (recall_D * trials + z2 / 2) / (trials + z2)
    half = Z95 * float(padded_D.std(ddof=1))
    low, high = float(padded_D.mean()) - half, float(padded_D.mean()) + half
    alarms = float((b_B > threshold).mean())
    return Recall(
        Rate(value, max(0.0, min(value, low)), min(1.0, max(value, high)), trials),
        threshold,
        Rate(alarms, *score_interval(alarms, len(b_B)), len(b_B)),
    )


def _split(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the positives and of the negatives."""
    scores_N, labels_N = np.asarray(scores, dtype=float), np.asarray(labels).astype(bool)
    assert scores_N.shape == labels_N.shape, (scores_N.shape, labels_N.shape)
    assert np.isfinite(scores_N).all(), "unscored answers are left out by the caller"
    if labels_N.all() or not labels_N.any():
        raise InputError("all labels are the same", field="label", expected="both kinds of answers")
    return scores_N[labels_N], scores_N[~labels_N]


def _placements(of: np.ndarray, among: np.ndarray) -> np.ndarray:
    """For each score, the share of the others that it lies above, an equal one as half."""
    ordered = np.sort(among)
    below, up_to = (np.searchsorted(ordered, of, side=side) for side in ("left", "right"))
    return np.asarray((below + up_to) / (2 * len(among)))


def _passing(a_A: np.ndarray, b_B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many positives [A] and negatives [A] pass at the score of each positive.

    Equal scores pass together.
    """
    right_A = len(a_A) - np.searchsorted(np.sort(a_A), a_A, side="left")
    wrong_A = len(b_B) - np.searchsorted(np.sort(b_B), a_A, side="left")
    return right_A, wrong_A


def _precision_error(
    a_A: np.ndarray, b_B: np.ndarray, right_A: np.ndarray, wrong_A: np.ndarray
) -> float:
    """Standard error of the average precision, from the influence of every score.

    A positive counts by its own precision, and raises that of all positives at or under it; a
    negative lowers the precision of all positives at or under it.
    """
    order, all_A = np.argsort(a_A, kind="stable"), right_A + wrong_A
    raised = np.concatenate([[0.0], np.cumsum((wrong_A / all_A**2)[order])])
    lowered = np.concatenate([[0.0], np.cumsum((right_A / all_A**2)[order])])
    up_to_A, up_to_B = (np.searchsorted(a_A[order], s, side="right") for s in (a_A, b_B))
    own_A, theirs_B = right_A / all_A + raised[up_to_A], lowered[up_to_B]
    spread = own_A.var(ddof=1) * len(a_A) + theirs_B.var(ddof=1) * len(b_B)
    return math.sqrt(spread) / len(a_A)


def _logit_interval(value: float, error: float) -> tuple[float, float]:
    """95 % interval of a share, symmetric in its log-odds; `error` is that of the share itself."""
    centre, half = math.log(value / (1 - value)), Z95 * error / (value * (1 - value))
    low, high = (0.5 * (1 + math.tanh((centre + side * half) / 2)) for side in (-1, 1))
    return low, high


def _may_pass(rate: float, negatives: int) -> int:
    """How many negatives may lie above the threshold."""
    # A hair more, so that 0.1 of 30 is 3 and not 2 by rounding.
    return min(math.floor(rate * negatives + 1e-9), negatives - 1)


def _redrawn(a_A: np.ndarray, b_B: np.ndarray, rate: float, seed: int, draws: int) -> np.ndarray:
    """Recalls [D] of resamples; positives come in rising, negatives in falling order."""
    source, allowed = np.random.default_rng(seed), _may_pass(rate, len(b_B))
    found = []
    for start in range(0, draws, _AT_ONCE):
        rows = min(_AT_ONCE, draws - start)
        passed_DB = source.multinomial(len(b_B), np.full(len(b_B), 1 / len(b_B)), rows).cumsum(1)
        # The first negative that makes too many sits on the threshold.
        threshold_D = b_B[(passed_DB <= allowed).sum(1)]
        taken_DA = source.multinomial(len(a_A), np.full(len(a_A), 1 / len(a_A)), rows).cumsum(1)
        under_D = np.searchsorted(a_A, threshold_D, side="right")
        before_D = np.where(under_D > 0, taken_DA[np.arange(rows), under_D - 1], 0)
        found.append(1 - before_D / len(a_A))
    return np.concatenate(found)
