from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from charter.statistics.bootstrap import Method, bootstrap, bootstrap_mean, by_cluster
from charter.statistics.rate import Rate

from .conftest import coverage, honest


def test_a_mean_is_as_uncertain_as_its_standard_error() -> None:
    values = np.random.default_rng(1).normal(3, 2, 400)
    rate = bootstrap_mean(values, seed=5, draws=4000)
    error = values.std() / 20
    assert rate.value == pytest.approx(values.mean())
    assert rate.n == 400
    assert rate.low == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert rate.high == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_it_agrees_with_scipy_on_a_skewed_sample(method: Method) -> None:
    values = np.random.default_rng(2).exponential(1, 60)
    rate = bootstrap_mean(values, seed=1, draws=20_000, method=method)
    known = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method=method.replace("bca", "BCa"), rng=3
    ).confidence_interval
    assert (rate.low, rate.high) == pytest.approx((known.low, known.high), abs=0.01)


def test_bca_moves_towards_the_long_tail() -> None:
    values = np.random.default_rng(2).exponential(1, 30)
    plain = bootstrap_mean(values, seed=1, draws=4000)
    better = bootstrap_mean(values, seed=1, draws=4000, method="bca")
    assert better.low > plain.low
    assert better.high > plain.high


def test_many_figures_are_adjusted_each_on_its_own() -> None:
    values = np.random.default_rng(4).exponential(1, 40)

    def both(weights: np.ndarray) -> np.ndarray:
        mean = weights @ values / weights.sum(1)
        return np.stack([mean, -mean], axis=1)

    low, high = bootstrap(both, 40, seed=0, draws=1999, method="bca")
    assert (low[1], high[1]) == pytest.approx((-high[0], -low[0]), abs=1e-3)


def test_as_many_clusters_are_drawn_as_there_are() -> None:
    def drawn(weights: np.ndarray) -> np.ndarray:
        assert weights.shape[1] == 7
        return np.stack([weights.sum(1), weights[:, 0]], axis=1)

    low, high = bootstrap(drawn, 7, seed=0, draws=200)
    assert low[0] == high[0] == 7
    assert low[1] == 0 and high[1] > 1


def test_exactly_the_draws_asked_for_are_made() -> None:
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


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_what_never_varies_is_known(method: Method) -> None:
    assert bootstrap_mean(np.full(5, 2.0), seed=0, draws=50, method=method) == Rate(2, 2, 2, 5)


def test_clusters_are_summed_by_label() -> None:
    sums, counts = by_cluster(np.array([1.0, 2, 3, 4]), np.array(["b", "a", "b", "b"]))
    assert (sums.tolist(), counts.tolist()) == ([2, 8], [1, 3])


def test_ten_copies_of_every_value_tell_no_more_than_one() -> None:
    values = np.random.default_rng(5).normal(size=50)
    once = bootstrap_mean(values, seed=6)
    copies = bootstrap_mean(np.repeat(values, 10), clusters=np.repeat(np.arange(50), 10), seed=6)
    assert (copies.low, copies.high) == pytest.approx((once.low, once.high))
    careless = bootstrap_mean(np.repeat(values, 10), seed=6)
    assert careless.high - careless.low < 0.5 * (once.high - once.low)


def test_coverage_of_a_clustered_mean() -> None:
    """80 prompts with one to five answers each, which share most of their variance."""

    def world(source: np.random.Generator, number: int) -> Rate:
        clusters = np.repeat(np.arange(80), source.integers(1, 6, 80))
        values = source.normal(0, 1, 80)[clusters] + source.normal(0, 0.5, len(clusters))
        return bootstrap_mean(values, clusters=clusters, seed=number, draws=300)

    assert honest(coverage(world, 0.0))


@pytest.mark.exhaustive
def test_coverage_of_bca_on_a_skewed_mean() -> None:
    def world(source: np.random.Generator, number: int) -> Rate:
        return bootstrap_mean(source.exponential(1, 100), seed=number, draws=400, method="bca")

    assert honest(coverage(world, 1.0))
