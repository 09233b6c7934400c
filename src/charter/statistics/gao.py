"""Gao's curves: how a score moves with the distance from the start policy, and where it peaks.

Gao et al. 2022 (arXiv 2210.10760, §3.1), with d the square root of the KL divergence in nats and
R(0) = 0:

    best of n    R(d) = d (α - β d)        peak at α / 2β
    rl           R(d) = d (α - β ln d)     peak at exp(α / β - 1)

Both are linear in α and β, so least squares has one answer. Owns the fit; knows no policy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from charter.records import Record

Form = Literal["best-of-n", "rl"]
_FEWEST = 4
"""Points under which two coefficients say nothing."""


class GaoFit(Record, frozen=True):
    """A fitted curve.

    Attributes:
        form: which one.
        alpha: slope at the start.
        beta: how it bends; 0 or less: the score has no peak within sight.
        peak: distance d* at which the curve is highest; None if it never falls.
        r2: share of the variance about 0 that the curve explains.
        n: points.
    """

    form: Form
    alpha: float
    beta: float
    peak: float | None
    r2: float
    n: int

    def at(self, distance: float) -> float:
        """The curve at a distance."""
        return float(_design(np.array([distance]), self.form)[0] @ (self.alpha, self.beta))


def fit_gao(distances: Sequence[float], scores: Sequence[float], form: Form) -> GaoFit | None:
    """Least squares through the origin.

    Args:
        distances: √KL of each point; those at 0 carry nothing and are left out.
        scores: less the start policy's own score.
        form: which curve.

    Returns:
        the fit, or None with fewer than four points or all at one distance.
    """
    d_N, y_N = np.asarray(distances, float), np.asarray(scores, float)
    known_N = (d_N > 0) & np.isfinite(d_N) & np.isfinite(y_N)
    d_N, y_N = d_N[known_N], y_N[known_N]
    if len(d_N) < _FEWEST:
        return None
    design_N2 = _design(d_N, form)
    if np.linalg.matrix_rank(design_N2) < 2:
        return None
    alpha, beta = (float(c) for c in np.linalg.lstsq(design_N2, y_N, rcond=None)[0])
    total = float((y_N**2).sum())
    left = float(((y_N - design_N2 @ (alpha, beta)) ** 2).sum())
    return GaoFit(form, alpha, beta, _peak(alpha, beta, form), 1 - left / (total or 1.0), len(d_N))


def _design(d_N: np.ndarray, form: Form) -> np.ndarray:
    bend_N = d_N if form == "best-of-n" else np.log(d_N)
    return np.stack([d_N, -d_N * bend_N], axis=1)


def _peak(alpha: float, beta: float, form: Form) -> float | None:
    if beta <= 0:
        return None
    if form == "best-of-n":
        return alpha / (2 * beta) if alpha > 0 else None
    # Beyond e^50 the peak is nowhere.
    exponent = alpha / beta - 1
    return math.exp(exponent) if exponent < 50 else None
