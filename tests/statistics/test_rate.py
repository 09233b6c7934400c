from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_confint

from charter.statistics import wilson
from charter.statistics.rate import Rate

from .conftest import coverage, honest


@pytest.mark.parametrize(("k", "n"), [(0, 12), (3, 10), (10, 10), (421, 900)])
def test_wilson_agrees_with_scipy_and_statsmodels(k: int, n: int) -> None:
    rate, known = wilson(k, n), binomtest(k, n).proportion_ci(method="wilson")
    assert (rate.value, rate.n) == (k / n, n)
    assert (rate.low, rate.high) == pytest.approx((known.low, known.high), abs=1e-6)
    other = proportion_confint(k, n, method="wilson")
    assert (rate.low, rate.high) == pytest.approx(other, abs=1e-6)


def test_wilson_takes_half_successes() -> None:
    assert wilson(2.5, 5).value == 0.5
    assert wilson(2, 5).low < wilson(2.5, 5).low < wilson(3, 5).low


def test_nothing_is_known_without_trials() -> None:
    assert wilson(0, 0) == Rate(0, 0, 1, 0)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5])
def test_coverage(share: float) -> None:
    def world(source: np.random.Generator, _: int) -> Rate:
        return wilson(int(source.binomial(200, share)), 200)

    assert honest(coverage(world, share))
