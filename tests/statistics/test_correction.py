from __future__ import annotations

import numpy as np
import pytest

from charter.errors import InputError
from charter.statistics.correction import Correction, ErrorRates, correct, error_rates
from charter.statistics.rate import Rate, wilson

from .conftest import coverage, honest


def errors(se: float, sp: float, n: int = 100_000) -> ErrorRates:
    return ErrorRates(wilson(round(se * n), n), wilson(round(sp * n), n))


def fixed(raw: Rate, known: ErrorRates) -> Rate:
    rate = correct(raw, known).corrected
    assert rate is not None
    return rate


def test_the_estimate_is_rogan_and_gladens() -> None:
    """30 % seen with se .9, sp .8: (.3 + .8 - 1) / .7."""
    assert fixed(wilson(300, 1000), errors(0.9, 0.8)).value == pytest.approx(0.1 / 0.7)


def test_a_perfect_scorer_changes_little() -> None:
    raw = wilson(60, 200)
    rate = fixed(raw, errors(1, 1))
    assert rate.value == pytest.approx(raw.value)
    assert (rate.low, rate.high) == pytest.approx((raw.low, raw.high), abs=0.005)


def test_a_planted_rate_is_recovered() -> None:
    """5 % do it; the scorer sees 10 % more than it should, and the correction takes them out."""
    source = np.random.default_rng(5)
    truth = source.random(200_000) < 0.05
    said = np.where(truth, source.random(200_000) < 0.8, source.random(200_000) < 0.1)
    raw = wilson(int(said.sum()), len(said))
    assert raw.value == pytest.approx(0.135, abs=0.003)
    assert fixed(raw, errors(0.8, 0.9)).value == pytest.approx(0.05, abs=0.004)


def test_the_interval_is_that_of_a_simulation() -> None:
    """Draw rate, sensitivity and specificity anew from what was seen, and correct each draw."""
    raw, known = wilson(90, 300), ErrorRates(wilson(170, 200), wilson(360, 400))
    source, draws = np.random.default_rng(0), 200_000
    p = source.beta(90.5, 210.5, draws)
    se, sp = source.beta(170.5, 30.5, draws), source.beta(360.5, 40.5, draws)
    expected = np.quantile((p + sp - 1) / (se + sp - 1), [0.025, 0.975])
    rate = fixed(raw, known)
    assert (rate.low, rate.high) == pytest.approx(tuple(expected), abs=0.006)


def test_doubt_about_the_scorer_widens_the_interval() -> None:
    raw = wilson(90, 300)
    sure, unsure = fixed(raw, errors(0.9, 0.9)), fixed(raw, errors(0.9, 0.9, n=50))
    assert unsure.high - unsure.low > 1.3 * (sure.high - sure.low)
    assert sure.high - sure.low > raw.high - raw.low


def test_the_estimate_is_cut_and_stays_in_its_interval() -> None:
    known = errors(0.9, 0.9, n=200)
    low, high = fixed(wilson(7, 100), known), fixed(wilson(93, 100), known)
    assert low.value == low.low == 0 < low.high < 0.1
    assert high.value == high.high == 1 > high.low > 0.9


@pytest.mark.parametrize("seen", [0, 100])
def test_a_rate_that_the_errors_forbid_is_not_corrected(seen: int) -> None:
    """One false alarm in ten, and none in a hundred answers: other answers than those measured."""
    raw = wilson(seen, 100)
    assert correct(raw, errors(0.9, 0.9)) == Correction(raw, None, "contradicts_errors")


def test_a_scorer_at_chance_corrects_nothing() -> None:
    raw = wilson(30, 100)
    assert correct(raw, errors(0.5, 0.5)) == Correction(raw, None, "scorer_at_chance")
    # Better than chance in the sample, but five answers cannot show that.
    few = ErrorRates(wilson(3, 5), wilson(3, 5))
    assert correct(raw, few).reason == "scorer_at_chance"
    assert correct(raw, ErrorRates(wilson(0, 0), wilson(9, 9))).reason == "scorer_at_chance"


def test_nothing_scored_nothing_corrected() -> None:
    found = correct(wilson(0, 0), errors(0.9, 0.9))
    assert (found.corrected, found.reason) == (None, "nothing_scored")


def test_a_scorer_is_measured_on_labels() -> None:
    said = np.array([0.9, 0.5, 0.2, 0.7, 0.1, 0.3])
    truth = np.array([1, 1, 1, 0, 0, 0])
    found = error_rates(said, truth, data="six answers")
    assert (found.sensitivity, found.specificity) == (wilson(2, 3), wilson(2, 3))
    assert (found.threshold, found.data) == (0.5, "six answers")
    assert error_rates(said, truth, threshold=0.8).sensitivity == wilson(1, 3)


@pytest.mark.parametrize("label", [0, 1])
def test_one_kind_of_answers_measures_no_scorer(label: int) -> None:
    with pytest.raises(InputError, match="both kinds"):
        error_rates(np.array([0.1, 0.9]), np.full(2, label))


@pytest.mark.parametrize(
    ("share", "se", "sp"), [(0.3, 0.85, 0.9), (0.08, 0.8, 0.95), (0.6, 0.7, 0.8)]
)
def test_coverage_with_doubt_about_everything(share: float, se: float, sp: float) -> None:
    def world(source: np.random.Generator, _: int) -> Rate:
        known = ErrorRates(
            wilson(int(source.binomial(150, se)), 150), wilson(int(source.binomial(200, sp)), 200)
        )
        seen = source.binomial(200, share * se + (1 - share) * (1 - sp))
        return fixed(wilson(int(seen), 200), known)

    assert honest(coverage(world, share))
