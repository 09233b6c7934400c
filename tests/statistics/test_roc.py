from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from charter.errors import InputError
from charter.statistics.rate import Rate, wilson
from charter.statistics.roc import auprc, auroc, recall_at_fpr

from .conftest import coverage, honest

SHIFT = 1.2
"""Positives are N(1.2, 1), negatives N(0, 1)."""


def planted(
    source: np.random.Generator, positives: int = 80, negatives: int = 120
) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat([1, 0], [positives, negatives])
    return source.normal(SHIFT * labels, 1), labels


@pytest.mark.parametrize("rounded", [None, 0])
def test_areas_agree_with_sklearn_also_with_ties(rounded: int | None) -> None:
    scores, labels = planted(np.random.default_rng(0))
    scores = scores if rounded is None else np.round(scores, rounded)
    assert auroc(scores, labels).value == pytest.approx(roc_auc_score(labels, scores))
    assert auprc(scores, labels).value == pytest.approx(average_precision_score(labels, scores))


def test_the_variance_is_delongs() -> None:
    """Worked out pair by pair, as the paper writes it."""
    scores, labels = planted(np.random.default_rng(1), 12, 9)
    scores = np.round(scores, 1)
    a, b = scores[labels == 1], scores[labels == 0]
    wins = (a[:, None] > b) + 0.5 * (a[:, None] == b)
    variance = wins.mean(1).var(ddof=1) / 12 + wins.mean(0).var(ddof=1) / 9
    area = wins.mean()
    half = 1.959964 * np.sqrt(variance) / (area * (1 - area))
    ends = 1 / (1 + np.exp(-(np.log(area / (1 - area)) + np.array([-half, half]))))
    rate = auroc(scores, labels)
    assert (rate.low, rate.high) == pytest.approx(tuple(ends))
    assert rate.n == 21


def test_the_error_of_average_precision_is_that_of_a_bootstrap() -> None:
    scores, labels = planted(np.random.default_rng(9), 150, 250)
    a, b, source = scores[labels == 1], scores[labels == 0], np.random.default_rng(10)
    draws = [
        average_precision_score(
            labels, np.concatenate([source.choice(a, 150), source.choice(b, 250)])
        )
        for _ in range(1000)
    ]
    rate = auprc(scores, labels)
    logit = np.log(np.array([rate.low, rate.high]) / (1 - np.array([rate.low, rate.high])))
    error = (logit[1] - logit[0]) / (2 * 1.96) * rate.value * (1 - rate.value)
    assert error == pytest.approx(np.std(draws), rel=0.07)


def test_scores_turned_round_give_the_other_area() -> None:
    scores, labels = planted(np.random.default_rng(2))
    there, back = auroc(scores, labels), auroc(-scores, labels)
    assert (back.value, back.low, back.high) == pytest.approx(
        (1 - there.value, 1 - there.high, 1 - there.low)
    )


def test_a_perfect_ranking_is_not_certain() -> None:
    scores, labels = np.array([1.0, 2, 3, 4, 5, 6]), np.array([0, 0, 0, 1, 1, 1])
    for rate in (auroc(scores, labels), auprc(scores, labels)):
        assert (rate.value, rate.high) == (1, 1)
        assert rate.low == pytest.approx(wilson(3, 3).low)


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.1, 0.34])
def test_recall_is_the_best_that_sklearns_curve_allows(rate: float) -> None:
    scores, labels = planted(np.random.default_rng(3))
    alarms, recalls, _ = roc_curve(labels, scores, drop_intermediate=False)
    found = recall_at_fpr(scores, labels, rate, draws=20)
    assert found.recall.value == pytest.approx(recalls[alarms <= rate + 1e-12].max())
    assert found.false_alarms.value <= rate
    assert (found.recall.n, found.false_alarms.n) == (80, 120)
    assert ((scores > found.threshold) & (labels == 0)).mean() * 200 <= rate * 120


def test_equal_scores_on_the_threshold_raise_no_alarm() -> None:
    scores, labels = np.array([1.0, 1, 1, 1, 2]), np.array([0, 0, 0, 1, 1])
    found = recall_at_fpr(scores, labels, 0.4, draws=20)
    assert (found.threshold, found.recall.value, found.false_alarms.value) == (1, 0.5, 0)


def test_recall_same_seed_same_interval() -> None:
    scores, labels = planted(np.random.default_rng(4))
    first, again, other = (recall_at_fpr(scores, labels, 0.1, seed=s).recall for s in (1, 1, 2))
    assert first == again != other


def test_resampling_agrees_with_plain_resampling() -> None:
    """The spread of recalls, drawn the long way: choose rows, find the threshold, count."""
    scores, labels = planted(np.random.default_rng(5))
    a, b = scores[labels == 1], scores[labels == 0]
    source, recalls = np.random.default_rng(6), []
    for _ in range(4000):
        ordered = np.sort(source.choice(b, len(b)))[::-1]
        recalls.append((source.choice(a, len(a)) > ordered[12]).mean())
    padded = (np.array(recalls) * 80 + 1.92) / (80 + 3.84)
    found = recall_at_fpr(scores, labels, 0.1, draws=4000).recall
    expected = (padded.mean() - 1.96 * padded.std(), padded.mean() + 1.96 * padded.std())
    assert (found.low, found.high) == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize("figure", [auroc, auprc, lambda s, y: recall_at_fpr(s, y, 0.1)])
@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_figure(figure: object, label: int) -> None:
    with pytest.raises(InputError, match="both kinds"):
        figure(np.array([0.1, 0.2]), np.full(2, label))  # type: ignore[operator]


def test_coverage_of_auroc() -> None:
    def world(source: np.random.Generator, _: int) -> Rate:
        return auroc(*planted(source))

    assert honest(coverage(world, float(norm.cdf(SHIFT / np.sqrt(2)))))


def test_coverage_of_auprc() -> None:
    grid = np.linspace(-6, 8, 20_001)
    hits, alarms = norm.sf(grid - SHIFT) * 80, norm.sf(grid) * 120
    truth = float(np.trapezoid(hits / (hits + alarms) * norm.pdf(grid - SHIFT), grid))

    def world(source: np.random.Generator, _: int) -> Rate:
        return auprc(*planted(source))

    assert honest(coverage(world, truth))


def test_coverage_of_recall() -> None:
    truth = float(norm.sf(norm.isf(0.1) - SHIFT))

    def world(source: np.random.Generator, number: int) -> Rate:
        return recall_at_fpr(*planted(source), 0.1, seed=number, draws=150).recall

    assert honest(coverage(world, truth))


def test_every_order_of_four_ranks_as_counted() -> None:
    labels = np.array([1, 1, 0, 0])
    for order in itertools.permutations(range(4)):
        wins = sum(order[i] > order[j] for i in (0, 1) for j in (2, 3))
        assert auroc(np.array(order, dtype=float), labels).value == wins / 4
