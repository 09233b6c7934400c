from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.stats.proportion import samplesize_confint_proportion

from charter.statistics.paired import mcnemar
from charter.statistics.planning import (
    detectable_difference,
    detectable_paired_difference,
    n_for_difference,
    n_for_paired_difference,
    n_for_width,
)
from charter.statistics.rate import score_interval


def width(rate: float, n: int) -> float:
    low, high = score_interval(rate, n)
    return high - low


@pytest.mark.parametrize("rate", [0.5, 0.3, 0.05, 0.95])
@pytest.mark.parametrize("wanted", [0.3, 0.1, 0.02])
def test_the_n_is_the_first_that_is_enough(rate: float, wanted: float) -> None:
    n = n_for_width(wanted, rate)
    assert width(rate, n) <= wanted + 1e-12
    assert n == 1 or width(rate, n - 1) > wanted


def test_a_narrow_interval_needs_what_statsmodels_says() -> None:
    known = samplesize_confint_proportion(0.3, 0.01)
    assert n_for_width(0.02, 0.3) == pytest.approx(known, rel=0.001)


def test_clustered_answers_need_more() -> None:
    assert n_for_width(0.1, design_effect=2.5) == pytest.approx(2.5 * n_for_width(0.1), abs=2)


def test_two_rates_need_the_textbook_n() -> None:
    """Fleiss, Levin and Paik, worked anew: 0.6 against 0.7 at 5 % and 80 %."""
    za, zb = norm.ppf(0.975), norm.ppf(0.8)
    by_hand = (za * math.sqrt(2 * 0.65 * 0.35) + zb * math.sqrt(0.24 + 0.21)) ** 2 / 0.01
    assert n_for_difference(0.6, 0.7) == math.ceil(by_hand) == 356
    assert n_for_difference(0.7, 0.6) == 356


def test_the_planned_n_has_the_planned_power() -> None:
    n, source = n_for_difference(0.3, 0.2, power=0.8), np.random.default_rng(0)
    a, b = source.binomial(n, 0.3, 4000) / n, source.binomial(n, 0.2, 4000) / n
    middle = (a + b) / 2
    z = np.abs(a - b) / np.sqrt(2 * middle * (1 - middle) / n)
    assert (z > 1.96).mean() == pytest.approx(0.8, abs=0.03)


def test_pairs_have_the_planned_power_and_need_fewer_prompts() -> None:
    n, source, found = n_for_paired_difference(0.15, 0.05), np.random.default_rng(1), 0
    for _ in range(1000):
        a, b, _same = source.multinomial(n, [0.15, 0.05, 0.8])
        left = np.array([1.0] * a + [0.0] * (n - a))
        right = np.array([0.0] * a + [1.0] * b + [0.0] * (n - a - b))
        found += mcnemar(left, right).p <= 0.05
    # The exact test is a little stricter than the normal one that the formula is of.
    assert 0.7 < found / 1000 < 0.85
    assert n < n_for_difference(0.3, 0.2)


def test_what_can_be_seen_is_the_plan_read_backwards() -> None:
    gap = detectable_difference(400, 0.2)
    assert gap is not None
    assert n_for_difference(0.2, 0.2 + gap) <= 400 < n_for_difference(0.2, 0.2 + gap * 0.99)
    paired = detectable_paired_difference(150, 0.2)
    assert paired is not None
    assert n_for_paired_difference(0.1 + paired / 2, 0.1 - paired / 2) <= 150


def test_some_n_can_show_nothing() -> None:
    assert detectable_difference(5, 0.9) is None
    assert detectable_difference(100, 1.0) is None
    assert detectable_paired_difference(4, 0.5) is None
