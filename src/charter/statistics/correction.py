"""Rates corrected for the errors of the scorer that read them (Rogan and Gladen 1978).

A scorer that misses some of what it looks for, and sees some that is not there, gives a share that
is off by a known amount once its sensitivity and specificity are known. Owns that arithmetic and
its interval, which carries the doubt about the share *and* about the scorer.

What no arithmetic mends: error rates hold for answers like those they were measured on. On other
answers the corrected figure is as wrong as they are, which is why the raw one stands beside it.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from charter.errors import InputError
from charter.records import Record
from charter.statistics.rate import Z95, Rate, wilson

Reason = Literal["", "nothing_scored", "scorer_at_chance", "contradicts_errors"]
"""Why a rate could not be corrected, "" if it could."""


class ErrorRates(Record, frozen=True):
    """How often a scorer is right, measured on answers that people labelled."""

    sensitivity: Rate
    """Share of answers that do it which the scorer sees."""
    specificity: Rate
    """Share of answers that do not which the scorer leaves alone."""
    threshold: float = 0.5
    """Of the reading from which the scorer says yes; at another threshold these rates are void."""
    data: str = ""
    """The labelled answers, in words."""


class Correction(Record, frozen=True):
    """A rate as read, and as corrected; `corrected` is None for the reason given."""

    raw: Rate
    corrected: Rate | None
    reason: Reason = ""


def error_rates(
    said: np.ndarray, truth: np.ndarray, *, threshold: float = 0.5, data: str = ""
) -> ErrorRates:
    """Measure a scorer on labelled answers.

    Args:
        said: readings [N], finite; at or above the threshold means yes.
        truth: labels [N], 1 or 0.
        threshold: of the readings.
        data: what the answers are, in words.

    Raises:
        InputError: the labels are all the same, so one of the rates cannot be measured.
    """
    yes_N, truth_N = np.asarray(said) >= threshold, np.asarray(truth).astype(bool)
    if truth_N.all() or not truth_N.any():
        raise InputError("all labels are the same", field="label", expected="both kinds of answers")
    sensitivity = wilson(int(yes_N[truth_N].sum()), int(truth_N.sum()))
    specificity = wilson(int((~yes_N[~truth_N]).sum()), int((~truth_N).sum()))
    return ErrorRates(sensitivity, specificity, threshold, data)


def correct(raw: Rate, errors: ErrorRates) -> Correction:
    """Rogan and Gladen's estimate (raw + sp - 1) / (se + sp - 1), cut to [0, 1].

    The 95 % interval is Lang and Reiczigel's (2014): the delta method around counts to which a few
    trials were added, as Agresti and Coull do for a share, so that it also holds near 0 and 1. It
    is stretched to hold the estimate where the added trials would leave it out.

    Not corrected if nothing was scored; if the scorer cannot be told from chance (the 95 % interval
    of se + sp - 1 reaches 0, and the estimate would divide by it); or if the whole interval lies
    outside [0, 1]. The scorer then says yes less often than its false alarms alone would make it,
    or no less often than its misses: its error rates do not hold for these answers.

    Args:
        raw: the share that the scorer says yes to. For clustered answers, with the effective n.
        errors: of the scorer, at the same threshold.
    """
    if raw.n == 0:
        return Correction(raw, None, "nothing_scored")
    if _youden_low(errors) <= 0:
        return Correction(raw, None, "scorer_at_chance")
    se, sp = errors.sensitivity.value, errors.specificity.value
    value = _cut((raw.value + sp - 1) / (se + sp - 1))
    low, high = _lang_reiczigel(raw, errors)
    if high <= 0 or low >= 1:
        return Correction(raw, None, "contradicts_errors")
    return Correction(raw, Rate(value, min(value, _cut(low)), max(value, _cut(high)), raw.n))


def _youden_low(errors: ErrorRates) -> float:
    """Low end of se + sp - 1 by squares of the distances (Newcombe 1998); -1 if unmeasured."""
    se, sp = errors.sensitivity, errors.specificity
    if not (se.n and sp.n):
        return -1.0
    return se.value + sp.value - 1 - math.hypot(se.value - se.low, sp.value - sp.low)


def _lang_reiczigel(raw: Rate, errors: ErrorRates) -> tuple[float, float]:
    """Ends of the interval (Lang and Reiczigel 2014, eq. 5-8), not yet cut."""
    z2 = Z95**2
    n = raw.n + z2
    p = (raw.value * raw.n + z2 / 2) / n
    se, n_se = _plus_two(errors.sensitivity)
    sp, n_sp = _plus_two(errors.specificity)
    slope = se + sp - 1
    middle = (p + sp - 1) / slope
    of_se, of_sp = se * (1 - se) / n_se, sp * (1 - sp) / n_sp
    shift = 2 * z2 * (middle * of_se - (1 - middle) * of_sp)
    variance = p * (1 - p) / n + middle**2 * of_se + (1 - middle) ** 2 * of_sp
    half = Z95 * math.sqrt(variance) / slope
    return middle + shift - half, middle + shift + half


def _plus_two(rate: Rate) -> tuple[float, int]:
    """A share and its trials, with one success and one failure added."""
    return (rate.value * rate.n + 1) / (rate.n + 2), rate.n + 2


def _cut(share: float) -> float:
    return min(1.0, max(0.0, share))
