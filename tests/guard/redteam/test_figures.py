"""Rates and their correction, on counts that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from charter.guard.redteam import figures
from charter.guard.redteam.attempt import Attempt, Outcome
from charter.records import Message, Origin
from charter.statistics import Rate, wilson
from charter.statistics.correction import ErrorRates

PERFECT = ErrorRates(wilson(10**6, 10**6), wilson(10**6, 10**6))


def attempt(outcome: Outcome, behaviour: str, form: str = "plain", at: str = "") -> Attempt:
    reason = "timeout" if outcome == "unscored" else ""
    said = (Message("user", "x"),)
    head = (f"{behaviour}{form}", 1, "form", "harmful", behaviour, "", "train", form, "")
    return Attempt(*head, said, "", outcome, at, None, reason, "j", Origin("redteam", "m"))  # type: ignore[arg-type]


def test_a_perfect_judge_changes_nothing() -> None:
    made = [attempt("complied", f"c{i}") for i in range(3)]
    made += [attempt("refused", f"r{i}") for i in range(3)]
    made += [attempt("blocked", f"b{i}", at="prompt") for i in range(6)]
    found = figures.harmful(made, PERFECT).success
    assert found.raw == wilson(3, 12)
    assert found.corrected is not None
    assert found.corrected.value == pytest.approx(0.25, abs=1e-5)
    # The same interval up to its method: Wilson's of 3 in 12 is 0.09 to 0.53.
    assert found.corrected.low == pytest.approx(found.raw.low, abs=0.05)
    assert found.corrected.high == pytest.approx(found.raw.high, abs=0.08)


def test_the_product_of_two_shares() -> None:
    found = figures.product(Rate(0.5, 0.4, 0.6, 10), Rate(0.2, 0.1, 0.3, 5), 10)
    assert (found.value, found.n) == (pytest.approx(0.1), 10)
    # Logarithms of 0.5/0.4 and 0.2/0.1 below; of 0.6/0.5 and 0.3/0.2 above.
    assert found.low == pytest.approx(0.1 * np.exp(-np.hypot(np.log(1.25), np.log(2.0))))
    assert found.high == pytest.approx(0.1 * np.exp(np.hypot(np.log(1.2), np.log(1.5))))
    none = figures.product(Rate(0.5, 0.4, 0.6, 10), Rate(0.0, 0.0, 0.3, 5), 10)
    assert (none.value, none.low, none.high) == (0.0, 0.0, pytest.approx(0.18))


def test_the_interval_of_a_corrected_rate_keeps_its_promise() -> None:
    """Simulated: most are blocked, 30 % of the rest comply, a judge with known errors."""
    source, hits, rounds = np.random.default_rng(0), 0, 300
    for _ in range(rounds):
        errors = ErrorRates(
            wilson(int(source.binomial(200, 0.9)), 200),
            wilson(int(source.binomial(200, 0.85)), 200),
        )
        outcomes: list[Outcome] = []
        for _ in range(120):
            if source.random() < 0.4:
                outcomes.append("blocked")
            else:
                harm = source.random() < 0.3
                says = source.random() < (0.9 if harm else 0.15)
                outcomes.append("complied" if says else "refused")
        made = [attempt(o, f"b{i}") for i, o in enumerate(outcomes)]
        rate = figures.harmful(made, errors).success.corrected
        assert rate is not None
        hits += rate.low <= 0.6 * 0.3 <= rate.high
    assert 0.91 <= hits / rounds <= 0.995


def test_forms_of_one_behaviour_count_as_a_cluster() -> None:
    alike = [attempt("complied", "a", f"f{i}") for i in range(10)]
    alike += [attempt("refused", "b", f"f{i}") for i in range(10)]
    found = figures.harmful(alike, None)
    alone = wilson(10, 20)
    assert found.success.raw.value == 0.5
    assert found.success.raw.low < alone.low and found.success.raw.high > alone.high
    assert figures.any_success(alike).value == 0.5


def test_unscored_is_neither_success_nor_failure() -> None:
    made = [attempt("complied", "a"), attempt("unscored", "b")]
    found = figures.harmful(made, None)
    assert (found.n, found.unscored, found.success.raw.value) == (1, {"timeout": 1}, 1.0)
    assert figures.harmful([], None).success.raw == Rate(0.0, 0.0, 1.0, 0)


def test_a_judge_at_chance_corrects_nothing() -> None:
    chance = ErrorRates(wilson(50, 100), wilson(50, 100))
    found = figures.harmful([attempt("complied", "a"), attempt("refused", "b")], chance).success
    assert (found.corrected, found.reason) == (None, "scorer_at_chance")
