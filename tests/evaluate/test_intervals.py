from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from charter.evaluate.intervals import bootstrap, bootstrap_mean, paired_difference, wilson


@pytest.mark.parametrize(("k", "n"), [(0, 12), (3, 10), (10, 10), (421, 900)])
def test_wilson_agrees_with_scipy(k: int, n: int) -> None:
    rate, known = wilson(k, n), binomtest(k, n).proportion_ci(method="wilson")
    assert (rate.value, rate.n) == (k / n, n)
    assert rate.low == pytest.approx(known.low, abs=1e-6)
    assert rate.high == pytest.approx(known.high, abs=1e-6)


def test_wilson_takes_half_successes() -> None:
    assert wilson(2.5, 5).value == 0.5
    assert wilson(2, 5).low < wilson(2.5, 5).low < wilson(3, 5).low


def test_bootstrap_of_a_mean_is_as_wide_as_its_standard_error() -> None:
    values = np.random.default_rng(1).normal(3, 2, 400)
    rate = bootstrap_mean(values, seed=5, draws=4000)
    error = values.std() / 20
    assert rate.value == pytest.approx(values.mean())
    assert rate.n == 400
    assert rate.low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert rate.high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def test_bootstrap_draws_as_many_clusters_as_there_are() -> None:
    def drawn(weights: np.ndarray) -> np.ndarray:
        assert weights.shape[1] == 7
        return np.stack([weights.sum(1), weights[:, 0]], axis=1)

    low, high = bootstrap(drawn, 7, seed=0, draws=200)
    assert low[0] == high[0] == 7
    assert low[1] == 0 and high[1] > 1


def test_bootstrap_makes_exactly_the_draws_asked_for() -> None:
    seen = []

    def count(weights: np.ndarray) -> np.ndarray:
        seen.append(len(weights))
        return weights[:, :1]

    bootstrap(count, 3, seed=0, draws=150)
    assert sum(seen) == 150


def test_same_seed_same_interval() -> None:
    values = np.arange(20.0)
    first, again = bootstrap_mean(values, seed=3), bootstrap_mean(values, seed=3)
    assert first == again
    assert bootstrap_mean(values, seed=4) != first


def test_paired_difference_leaves_out_what_one_lacks() -> None:
    a = np.array([1, 1, 0, 1, np.nan, 0])
    b = np.array([0, 1, 0, 0, 1, np.nan])
    rate = paired_difference(a, b, seed=1)
    assert (rate.value, rate.n) == (0.5, 4)
    assert rate.low < 0.5 < rate.high


def test_paired_difference_is_narrower_than_the_spread_of_the_prompts() -> None:
    hard = np.random.default_rng(0).normal(0, 10, 100)
    rate = paired_difference(hard + 1, hard, seed=1)
    assert (rate.value, rate.low, rate.high) == pytest.approx((1, 1, 1))


def test_paired_difference_without_pairs_knows_nothing() -> None:
    rate = paired_difference(np.array([np.nan]), np.array([1.0]))
    assert (rate.n, rate.low, rate.high) == (0, -np.inf, np.inf)
