from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from charter.errors import InputError
from charter.guard.conformal import allowed, needed, threshold, upper_bound


@pytest.mark.parametrize(
    ("budget", "confidence", "least"),
    [(0.001, None, 999), (0.005, None, 199), (0.01, 0.95, 299), (0.005, 0.95, 598)],
)
def test_how_many_are_needed(budget: float, confidence: float | None, least: int) -> None:
    assert needed(budget, confidence) == least
    assert allowed(least, budget, confidence) == 0
    assert allowed(least - 1, budget, confidence) == -1
    with pytest.raises(InputError, match=f"at least {least}"):
        threshold(np.linspace(0, 0.9, least - 1), budget, confidence)


def test_as_many_are_refused_as_may_be_and_no_more() -> None:
    scores = np.arange(1, 1000) / 1000
    found = threshold(scores, 0.01)
    # n/(n+1) * R + 1/(n+1) <= 0.01 with n = 999 allows 9.
    assert round(found.refused.value * 999) == 9
    assert scores[-9] >= found.value > scores[-10]


def test_ties_pass_together() -> None:
    scores = np.r_[np.zeros(900), np.full(99, 0.7)]
    found = threshold(scores, 0.01)
    assert found.refused.value == 0
    assert found.value > 0.7


def test_a_classifier_that_cannot_tell_is_refused() -> None:
    with pytest.raises(InputError, match="highest score"):
        threshold(np.ones(500), 0.01)


def test_the_upper_bound_is_that_of_clopper_and_pearson() -> None:
    high = upper_bound(3, 500)
    assert binom.cdf(3, 500, high) == pytest.approx(0.05, abs=1e-6)
    assert upper_bound(0, 1000) == pytest.approx(3 / 1000, rel=0.01)
    assert upper_bound(5, 5) == 1.0


def violations(n: int, budget: float, confidence: float | None, rounds: int = 4000) -> np.ndarray:
    """True refusal rates at thresholds from fresh data; uniform scores, so they are known."""
    source = np.random.default_rng(0)
    return np.array(
        [1 - threshold(source.random(n), budget, confidence).value for _ in range(rounds)]
    )


def test_the_confident_promise_is_kept_in_simulation() -> None:
    broken = (violations(300, 0.02, 0.9) > 0.02).mean()
    assert broken <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / 4000)
    assert broken > 0.01  # the bound is not idle either


def test_the_promise_in_expectation_is_kept_in_simulation() -> None:
    rates = violations(300, 0.02, None)
    assert rates.mean() <= 0.02 + 3 * rates.std() / np.sqrt(len(rates))
    assert rates.mean() > 0.015
