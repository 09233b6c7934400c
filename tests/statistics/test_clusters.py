from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from charter.statistics.clusters import clustered_rate
from charter.statistics.rate import Rate, wilson

from .conftest import coverage, honest


def planted(source: np.random.Generator, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers to prompts that differ: every prompt has its own rate, beta with mean 0.3."""
    clusters = np.repeat(np.arange(groups), source.integers(2, 7, groups))
    rates = source.beta(0.9, 2.1, groups)
    return (source.random(len(clusters)) < rates[clusters]).astype(float), clusters


def test_the_design_effect_is_that_of_statsmodels() -> None:
    outcomes, clusters = planted(np.random.default_rng(0), 60)
    fitted = sm.OLS(outcomes, np.ones(len(outcomes))).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": False}
    )
    share, n = outcomes.mean(), len(outcomes)
    expected = fitted.bse[0] ** 2 * 60 / 59 / (share * (1 - share) / n)
    found = clustered_rate(outcomes, clusters)
    assert found.design_effect == pytest.approx(expected)
    assert found.design_effect > 1.3
    assert found.effective_n == pytest.approx(n / expected)
    assert (found.rate.value, found.rate.n, found.clusters) == (share, n, 60)


def test_one_answer_a_prompt_is_nearly_wilson() -> None:
    outcomes = np.array([1.0] * 90 + [0.0] * 210)
    found, plain = clustered_rate(outcomes, np.arange(300)).rate, wilson(90, 300)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=0.001)


def test_copies_of_answers_tell_no_more() -> None:
    outcomes, clusters = np.array([1.0] * 9 + [0.0] * 21), np.arange(30)
    once = clustered_rate(outcomes, clusters).rate
    ten = clustered_rate(np.repeat(outcomes, 10), np.repeat(clusters, 10))
    assert (ten.rate.low, ten.rate.high) == pytest.approx((once.low, once.high))
    # 30/29 of it is the degree of freedom that the mean took.
    assert ten.design_effect == pytest.approx(10 * 30 / 29)


def test_where_all_agree_every_prompt_counts_once() -> None:
    found = clustered_rate(np.zeros(100), np.repeat(np.arange(20), 5))
    assert found.design_effect == 5
    assert (found.rate.value, found.rate.low) == (0, 0)
    assert found.rate.high > wilson(0, 20).high


def test_one_prompt_says_nothing_of_others() -> None:
    found = clustered_rate(np.array([1.0, 1, 0, 1]), np.zeros(4))
    assert (found.rate.value, found.rate.low, found.rate.high) == (0.75, 0, 1)


def test_no_outcomes_nothing_known() -> None:
    assert clustered_rate(np.array([]), np.array([])).rate == Rate(0, 0, 1, 0)


def test_coverage_where_plain_wilson_fails() -> None:
    def robust(source: np.random.Generator, _: int) -> Rate:
        return clustered_rate(*planted(source, 60)).rate

    def plain(source: np.random.Generator, _: int) -> Rate:
        outcomes, _clusters = planted(source, 60)
        return wilson(float(outcomes.sum()), len(outcomes))

    assert honest(coverage(robust, 0.3))
    assert coverage(plain, 0.3) < 0.91
