from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import beta

from charter.errors import InputError
from charter.statistics import length
from charter.statistics.length import length_controlled
from charter.statistics.rate import Rate

from .conftest import coverage, honest

THETA, PHI = 0.3, 1.2


def planted(source: np.random.Generator, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """A model that is a little better, writes longer, and is preferred for that as well."""
    gap = source.normal(40, 60, n)
    logit = THETA + PHI * np.tanh(gap / gap.std())
    return (source.random(n) < 1 / (1 + np.exp(-logit))).astype(float), gap


def sigmoid(logit: float) -> float:
    return float(1 / (1 + np.exp(-logit)))


def test_coefficients_and_errors_are_those_of_statsmodels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(length, "_HALF_GAMES", 0.0)
    monkeypatch.setattr(length, "_RIDGE", 0.0)
    wins, gap = planted(np.random.default_rng(0))
    prompts = np.repeat(np.arange(50), 4)
    design = np.stack([np.ones(200), np.tanh(gap / gap.std())], axis=1)
    known = sm.GLM(wins, design, family=sm.families.Binomial()).fit(
        cov_type="cluster", cov_kwds={"groups": prompts, "use_correction": False}
    )
    found = length_controlled(wins, gap, clusters=prompts)
    assert found.length_effect.value == pytest.approx(known.params[1])
    assert found.controlled.value == pytest.approx(sigmoid(known.params[0]))
    errors = known.bse * np.sqrt(50 / 49)
    half = (found.length_effect.high - found.length_effect.low) / 2
    assert half == pytest.approx(1.96 * errors[1], rel=1e-3)
    assert found.controlled.high == pytest.approx(
        sigmoid(known.params[0] + 1.96 * errors[0]), rel=1e-3
    )


def test_a_win_by_length_alone_is_taken_back() -> None:
    source = np.random.default_rng(1)
    gap = source.normal(80, 60, 4000)
    wins = (source.random(4000) < 1 / (1 + np.exp(-1.5 * np.tanh(gap / gap.std())))).astype(float)
    found = length_controlled(wins, gap)
    assert found.raw.low > 0.6
    assert found.controlled.low < 0.5 < found.controlled.high
    assert found.length_effect.low > 1


def test_equal_lengths_change_nothing() -> None:
    found = length_controlled(np.array([1.0] * 30 + [0.0] * 10), np.zeros(40))
    # 30 of 40, and half of the one game of the prior.
    assert found.controlled.value == pytest.approx(30.5 / 41)
    assert (found.length_effect.value, found.length_scale) == (0, 0)


def test_ties_and_soft_wins_count_by_their_share() -> None:
    found = length_controlled(np.full(60, 0.5), np.arange(60.0) - 29.5)
    assert found.controlled.value == pytest.approx(0.5)
    assert found.raw.value == 0.5


def test_the_unit_of_length_does_not_matter() -> None:
    wins, gap = planted(np.random.default_rng(2))
    tokens, characters = length_controlled(wins, gap), length_controlled(wins, gap * 4.2)
    assert tokens.controlled.value == pytest.approx(characters.controlled.value)


def test_the_other_side_has_the_other_rate() -> None:
    wins, gap = planted(np.random.default_rng(3))
    one, other = length_controlled(wins, gap), length_controlled(1 - wins, -gap)
    assert one.controlled.value == pytest.approx(1 - other.controlled.value)
    assert one.controlled.low == pytest.approx(1 - other.controlled.high)


def test_a_clean_sweep_stays_finite_and_unsure() -> None:
    """No narrower than the Jeffreys interval of 40 wins of 40, and still far above one half."""
    found = length_controlled(np.ones(40), np.tile([-1.0, 1.0], 20)).controlled
    assert 0.97 < found.value < 1
    assert 0.8 < found.low < beta(40.5, 0.5).ppf(0.025)


def test_what_was_not_scored_is_left_out_and_counted() -> None:
    wins, gap = planted(np.random.default_rng(4))
    more = length_controlled([*wins, np.nan, 1.0], [*gap, 5.0, np.nan])  # type: ignore[arg-type]
    assert more.unscored == 2
    assert more.controlled == length_controlled(wins, gap).controlled


def test_copies_of_a_prompt_tell_no_more() -> None:
    wins, gap = planted(np.random.default_rng(5))
    once = length_controlled(wins, gap).controlled
    prompts = np.repeat(np.arange(200), 5)
    five = length_controlled(np.repeat(wins, 5), np.repeat(gap, 5), clusters=prompts).controlled
    assert five.high - five.low == pytest.approx(once.high - once.low, rel=0.02)


def test_one_prompt_says_nothing_of_others() -> None:
    found = length_controlled(np.array([1.0, 0, 1]), np.array([1.0, 2, 3]), clusters=np.zeros(3))
    assert (found.controlled.low, found.controlled.high) == (0, 1)


def test_nothing_to_compare_is_said_so() -> None:
    with pytest.raises(InputError, match="no pair"):
        length_controlled(np.array([np.nan]), np.array([3.0]))


def test_coverage() -> None:
    def world(source: np.random.Generator, _: int) -> Rate:
        return length_controlled(*planted(source)).controlled

    assert honest(coverage(world, sigmoid(THETA)))


def test_coverage_of_the_length_effect() -> None:
    def world(source: np.random.Generator, _: int) -> Rate:
        return length_controlled(*planted(source)).length_effect

    assert honest(coverage(world, PHI))
