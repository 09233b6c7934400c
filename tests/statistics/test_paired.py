from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.contingency_tables import mcnemar as reference

from charter.statistics.paired import mcnemar, paired_difference, permutation
from charter.statistics.rate import Rate

from .conftest import coverage, honest

NAN = float("nan")


def outcomes(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    a = [1.0] * (both + only_a) + [0.0] * (only_b + neither)
    b = [1.0] * both + [0.0] * only_a + [1.0] * only_b + [0.0] * neither
    return np.array(a), np.array(b)


def drawn(source: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """120 prompts; 25 % only the first does it, 15 % only the second."""
    kinds = source.choice(4, 120, p=[0.3, 0.25, 0.15, 0.3])
    return outcomes(*(int((kinds == kind).sum()) for kind in range(4)))


@pytest.mark.parametrize("counts", [(20, 9, 2, 30), (5, 3, 3, 5), (0, 0, 6, 4), (8, 0, 0, 8)])
def test_mcnemar_agrees_with_statsmodels(counts: tuple[int, int, int, int]) -> None:
    both, only_a, only_b, neither = counts
    found = mcnemar(*outcomes(*counts))
    known = reference([[both, only_a], [only_b, neither]], exact=True).pvalue
    assert found.p == pytest.approx(known)
    assert (found.only_a, found.only_b, found.n) == (only_a, only_b, sum(counts))


def test_mcnemar_is_not_certain_where_no_prompt_differs() -> None:
    difference = mcnemar(*outcomes(10, 0, 0, 10)).difference
    assert difference.value == 0
    assert -0.2 < difference.low < -0.05 and 0.05 < difference.high < 0.2


def test_mcnemar_leaves_out_and_counts_what_is_missing() -> None:
    found = mcnemar(np.array([1, NAN, 0, 1]), np.array([0, 1, NAN, 1]))
    assert (found.n, found.unscored, found.only_a, found.only_b) == (2, 2, 1, 0)


def test_mcnemar_without_pairs_knows_nothing() -> None:
    found = mcnemar(np.array([NAN]), np.array([1.0]))
    assert (found.p, found.n, found.unscored) == (1, 0, 1)
    assert found.difference == Rate(0, -1, 1, 0)


def test_few_pairs_are_permuted_exactly() -> None:
    a = np.array([2.0, 1.5, 3.1, 0.2, 1.0, 4.0, 0.0])
    b = np.array([1.0, 1.9, 1.1, 0.1, 0.5, 1.0, 0.3])
    gaps = a - b
    flips = np.array(list(itertools.product([1, -1], repeat=7)))
    known = (np.abs(flips @ gaps) >= abs(gaps.sum()) - 1e-12).mean()
    found = permutation(a, b)
    assert found.exact and found.p == pytest.approx(known)
    assert found.difference == pytest.approx(gaps.mean())


def test_many_pairs_agree_with_scipy() -> None:
    source = np.random.default_rng(3)
    a, b = source.normal(0.2, 1, 60), source.normal(0, 1, 60)
    found = permutation(a, b, seed=1, draws=20_000)
    known = scipy.stats.permutation_test(
        (a, b),
        lambda x, y: np.mean(x - y),
        permutation_type="samples",
        n_resamples=20_000,
        rng=np.random.default_rng(7),
    ).pvalue
    assert not found.exact
    assert found.p == pytest.approx(known, abs=0.015)


def test_a_permutation_p_is_never_zero() -> None:
    assert permutation(np.full(40, 9.0), np.zeros(40), draws=99).p == 0.01


def test_no_difference_at_all_is_no_evidence() -> None:
    found = permutation(np.ones(5), np.ones(5))
    assert (found.p, found.exact, found.difference) == (1, True, 0)


def test_clusters_flip_together() -> None:
    """Four copies of five prompts are still five prompts: 2 of 32 flips are as far out."""
    a, b, prompts = np.ones(20), np.zeros(20), np.repeat(np.arange(5), 4)
    assert permutation(a, b, clusters=prompts).p == pytest.approx(2 / 32)
    assert permutation(a, b).p < 0.001


def test_false_alarms_of_the_tests_are_no_more_than_stated() -> None:
    source, alarms = np.random.default_rng(11), np.zeros(2)
    for world in range(2000):
        kinds = source.choice(3, 40, p=[0.6, 0.2, 0.2])
        a, b = outcomes(0, int((kinds == 1).sum()), int((kinds == 2).sum()), 0)
        flips = permutation(a, b, seed=world, draws=199) if len(a) else permutation(a, b)
        alarms += [mcnemar(a, b).p <= 0.05, flips.p <= 0.05]
    mcnemars, permutations = alarms / 2000
    assert 0.005 < mcnemars < 0.06
    assert 0.005 < permutations < 0.06


def test_paired_difference_leaves_out_what_one_lacks() -> None:
    a = np.array([1, 1, 0, 1, NAN, 0])
    b = np.array([0, 1, 0, 0, 1, NAN])
    rate = paired_difference(a, b, seed=1)
    assert (rate.value, rate.n) == (0.5, 4)
    assert rate.low < 0.5 < rate.high


def test_paired_difference_is_narrower_than_the_spread_of_the_prompts() -> None:
    hard = np.random.default_rng(0).normal(0, 10, 100)
    rate = paired_difference(hard + 1, hard, seed=1)
    assert (rate.value, rate.low, rate.high) == pytest.approx((1, 1, 1))


def test_paired_difference_without_pairs_knows_nothing() -> None:
    rate = paired_difference(np.array([NAN]), np.array([1.0]))
    assert (rate.n, rate.low, rate.high) == (0, -np.inf, np.inf)


def test_paired_difference_by_prompt_is_wider() -> None:
    source = np.random.default_rng(4)
    prompts = np.repeat(np.arange(30), 8)
    a = source.normal(0, 1, 30)[prompts] + source.normal(0, 0.1, 240)
    alone, together = (
        paired_difference(a, np.zeros(240), clusters=c, seed=2) for c in (None, prompts)
    )
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_coverage_of_the_closed_form() -> None:
    def world(source: np.random.Generator, _: int) -> Rate:
        return mcnemar(*drawn(source)).difference

    assert honest(coverage(world, 0.1))


def test_coverage_of_the_bootstrap() -> None:
    def world(source: np.random.Generator, number: int) -> Rate:
        return paired_difference(*drawn(source), seed=number, draws=300)

    assert honest(coverage(world, 0.1))
