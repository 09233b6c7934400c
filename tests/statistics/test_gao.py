"""Gao's curves, planted and found again."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest

from charter.statistics.gao import fit_gao

DISTANCES = np.linspace(0.2, 6.0, 25)


@pytest.mark.parametrize(
    ("form", "alpha", "beta", "peak"),
    [("rl", 1.2, 0.8, math.exp(0.5)), ("best-of-n", 2.0, 0.25, 4.0)],
)
def test_a_planted_curve_is_recovered(
    form: Literal["rl", "best-of-n"], alpha: float, beta: float, peak: float
) -> None:
    bend = np.log(DISTANCES) if form == "rl" else DISTANCES
    scores = DISTANCES * (alpha - beta * bend)
    fit = fit_gao([0.0, *DISTANCES], [9.0, *scores], form)
    assert fit is not None and fit.n == 25
    assert (fit.alpha, fit.beta, fit.peak) == pytest.approx((alpha, beta, peak))
    assert fit.r2 == pytest.approx(1.0)
    assert fit.at(2.0) == pytest.approx(2 * (alpha - beta * (math.log(2) if form == "rl" else 2)))
    noisy = fit_gao(DISTANCES, scores + np.random.default_rng(0).normal(0, 0.05, 25), form)
    assert noisy is not None and noisy.peak == pytest.approx(peak, rel=0.1)


def test_a_score_that_keeps_rising_has_no_peak() -> None:
    fit = fit_gao(DISTANCES, DISTANCES**1.5, "rl")
    assert fit is not None and fit.beta < 0 and fit.peak is None


def test_too_little_to_fit_gives_nothing() -> None:
    assert fit_gao([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], "rl") is None
    assert fit_gao([1.0] * 9, [1.0] * 9, "rl") is None
    assert fit_gao([1.0, 2.0, 3.0, math.nan], [1.0, 2.0, 3.0, 4.0], "rl") is None
