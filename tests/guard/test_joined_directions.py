"""A fitted direction and one from elsewhere become one; one against the labels is left out."""

from __future__ import annotations

import numpy as np
import pytest

from charter.guard.fit_heads import Labelled, fit_direction, joined
from charter.statistics.roc import auroc

FEATURES, ROWS = 40, 120


@pytest.fixture
def planted() -> np.ndarray:
    return np.random.default_rng(0).normal(size=FEATURES)


def rows(planted: np.ndarray, count: int, seed: int) -> Labelled:
    source = np.random.default_rng(seed)
    features_NF = source.normal(size=(count, FEATURES)).astype(np.float32)
    noisy_N = features_NF @ planted + source.normal(size=count)
    return Labelled(features_NF, (noisy_N > 0).astype(int), [str(n) for n in range(count)])


def test_a_direction_that_knows_more_takes_over(planted: np.ndarray) -> None:
    few, new = rows(planted, ROWS, 1), rows(planted, 2000, 2)
    head = fit_direction(few, (1e-4,))
    both = joined(head, few, planted)
    alone, together = (
        auroc(new.features_NF @ h.weights_F + h.bias, new.labels_N).value for h in (head, both)
    )
    assert together > alone + 0.02


def test_one_that_says_the_contrary_gets_no_weight(planted: np.ndarray) -> None:
    few = rows(planted, ROWS, 1)
    head = fit_direction(few, (1e-4,))
    both = joined(head, few, -planted)
    turned = both.weights_F @ head.weights_F / np.linalg.norm(both.weights_F)
    assert turned == pytest.approx(np.linalg.norm(head.weights_F), rel=1e-5)


def test_the_logits_left_out_are_those_of_both(planted: np.ndarray) -> None:
    few = rows(planted, ROWS, 1)
    head = fit_direction(few, (1e-4,))
    both = joined(head, few, planted)
    known_N = few.features_NF @ planted
    columns = np.stack([head.left_out_N, known_N, np.ones(ROWS)], 1)
    _, residual, rank, _ = np.linalg.lstsq(columns, both.left_out_N, rcond=None)
    assert rank == 3 and residual.sum() < 1e-6
