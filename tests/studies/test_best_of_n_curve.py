"""The estimator of best of n against all subsets of a pool, written out."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from charter.studies.best_of_n_curve import (
    best_of_n_scores,
    grid,
    rank_weights,
    usable_prompts,
)

SOURCE = np.random.default_rng(0)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7])
def test_it_is_the_mean_over_all_subsets(n: int) -> None:
    proxy, score = SOURCE.normal(size=7), SOURCE.normal(size=7)
    every = [score[max(subset, key=lambda i: proxy[i])] for subset in combinations(range(7), n)]
    assert best_of_n_scores(proxy, score, [n])[0] == pytest.approx(np.mean(every))


def test_answers_that_tie_win_equally_often() -> None:
    proxy, score = np.array([1.0, 2.0, 2.0]), np.array([0.0, 4.0, 8.0])
    assert best_of_n_scores(proxy, score, [1, 2, 3]) == pytest.approx([4.0, 6.0, 6.0])


def test_weights_are_chances_also_in_a_large_pool() -> None:
    for n in (1, 2, 500, 1000):
        weights = rank_weights(n, 1000)
        assert weights.sum() == pytest.approx(1.0) and (weights >= 0).all()
        assert (weights[: n - 1] == 0).all()


def test_the_grid_ends_at_the_pool() -> None:
    assert grid(1) == (1,)
    assert grid(10) == (1, 2, 3, 4, 6, 8, 10)
    assert grid(16)[-2:] == (12, 16)


def test_a_prompt_with_fewer_than_half_of_its_answers_is_left_out() -> None:
    proxy = np.array([[1.0, np.nan, np.nan, 2.0], [1.0, 2.0, np.nan, np.nan]])
    gold = np.array([[1.0, 1.0, 1.0, 1.0], [np.nan, 1.0, 1.0, 1.0]])
    known, kept = usable_prompts(proxy, gold)
    assert known.sum(1).tolist() == [2, 1] and kept.tolist() == [True, False]
