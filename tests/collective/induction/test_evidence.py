"""Counts, exact tests and gains, against values computed by hand or by SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from charter.collective.induction.evidence import ROUNDS, chance, family_wise, gain, tally
from charter.statistics import wilson


def test_a_tally_keeps_against_not_relevant_and_unscored_apart() -> None:
    votes = np.array([1, 1, -1, 0, 0, -1], dtype=np.int8)
    scored = np.array([True, True, True, True, False, True])
    found = tally(votes, scored, [1, -1, -1, 1, 1, -1])
    assert (found.agree, found.against, found.not_relevant, found.unscored) == (3, 1, 1, 1)
    assert found.explained == wilson(3, 5)
    assert found.accuracy == wilson(3, 4)
    assert found.p == pytest.approx(5 / 16)


@pytest.mark.parametrize(("agree", "relevant"), [(9, 9), (8, 9), (17, 30), (0, 4), (3, 7)])
def test_the_p_value_is_that_of_the_exact_binomial_test(agree: int, relevant: int) -> None:
    expected = binomtest(agree, relevant, alternative="greater").pvalue
    assert chance(agree, relevant) == pytest.approx(expected)


def test_nothing_relevant_proves_nothing() -> None:
    assert chance(0, 0) == 1.0
    assert gain(0, 0) == 0.0


def test_a_gain_grows_with_pairs_and_turns_with_the_direction() -> None:
    assert gain(4, 0) == pytest.approx(4 * math.log(2 * 5 / 6))
    assert 0 < gain(3, 0) < gain(7, 0) < gain(70, 0)
    assert gain(7, 1) < gain(7, 0)
    assert gain(1, 7) == pytest.approx(-gain(7, 1))
    assert abs(gain(5, 5)) < 1e-12


def test_a_whole_pool_of_noise_has_no_small_p_value_but_a_signal_in_it_has() -> None:
    source = np.random.default_rng(3)
    signs = source.choice([-1, 1], 60).tolist()
    votes = source.choice([-1, 0, 1], (300, 60)).astype(np.int8)
    alone = family_wise(votes, signs, 0)
    assert alone.min() > 0.05
    with_signal = np.vstack([votes, np.array(signs, dtype=np.int8)])
    found = family_wise(with_signal, signs, 0)
    assert found[-1] == pytest.approx(1 / (ROUNDS + 1))
    assert found[:-1].min() > 0.05


def test_a_feature_that_is_always_wrong_is_as_telling_as_one_that_is_right() -> None:
    signs = [1, -1] * 15
    votes = np.array([signs, [-s for s in signs]], dtype=np.int8)
    one, other = family_wise(votes, signs, 0)
    assert one == other == pytest.approx(1 / (ROUNDS + 1))


def test_no_features_no_p_values() -> None:
    assert family_wise(np.empty((0, 5), dtype=np.int8), [1] * 5, 0).shape == (0,)
