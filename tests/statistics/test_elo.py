from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import beta

from charter.statistics.elo import ELO_PER_LOGIT, elo, fit
from charter.statistics.rate import Rate

from .conftest import coverage, honest

NAMES = ("base", "sl_cai", "rl_cai")


def _wins(strengths: np.ndarray, prompts: int) -> np.ndarray:
    """The same soft wins on every prompt."""
    wins = 1 / (1 + np.exp(strengths[None, :] - strengths[:, None]))
    np.fill_diagonal(wins, 0)
    return np.repeat(wins[None], prompts, axis=0)


def test_planted_strengths_are_recovered() -> None:
    strengths = np.array([0.0, 0.8, -1.7])
    fitted = fit(_wins(strengths, 1000).sum(0)[None], 0, prior=1e-9)
    assert fitted[0] == pytest.approx(strengths, abs=1e-6)


def test_the_scale_is_the_papers() -> None:
    """Ten to one is 400 points; one unit of score is about 174 (Bai et al. 2022)."""
    figures = elo(_wins(np.array([0, np.log(10)]), 5000), NAMES[:2], "base", seed=0, draws=20)
    assert figures.players["sl_cai"].value == pytest.approx(400, abs=0.5)
    assert pytest.approx(174, abs=0.5) == ELO_PER_LOGIT


@pytest.mark.parametrize("anchor", NAMES)
def test_the_anchor_is_exactly_zero_and_moves_nothing_else(anchor: str) -> None:
    wins = np.random.default_rng(2).uniform(0, 1, (30, 3, 3))
    wins = np.triu(wins, 1) + np.tril(1 - wins.transpose(0, 2, 1), -1)
    from_base = elo(wins, NAMES, "base", seed=0, draws=10).players
    figures = elo(wins, NAMES, anchor, seed=0, draws=10).players
    rate = figures[anchor]
    assert (rate.value, rate.low, rate.high) == (0.0, 0.0, 0.0)
    shift = from_base[anchor].value
    for name in NAMES:
        assert figures[name].value == pytest.approx(from_base[name].value - shift, abs=1e-6)


def test_a_clean_sweep_stays_finite_and_known() -> None:
    wins = np.zeros((40, 2, 2))
    wins[:, 1, 0] = 1.0
    rate = elo(wins, NAMES[:2], "base", seed=0, draws=50).players["sl_cai"]
    assert rate.value == pytest.approx(400 * np.log10(40.5 / 0.5), abs=1e-6)


def test_a_clean_sweep_is_not_certain() -> None:
    """The interval of the won share is that of a Jeffreys prior: Beta(40.5, 0.5)."""
    wins = np.zeros((40, 2, 2))
    wins[:, 1, 0] = 1.0
    rate = elo(wins, NAMES[:2], "base", seed=0, draws=4000).players["sl_cai"]
    share = 1 / (1 + 10 ** (-rate.low / 400))
    assert share == pytest.approx(beta(40.5, 0.5).ppf(0.025), abs=0.005)


def test_coverage_of_two_planted_players() -> None:
    """60 prompts, wins of 0 and 1."""

    def world(source: np.random.Generator, number: int) -> Rate:
        wins = np.zeros((60, 2, 2))
        wins[:, 1, 0] = source.random(60) < 1 / (1 + np.exp(-0.5))
        wins[:, 0, 1] = 1 - wins[:, 1, 0]
        return elo(wins, NAMES[:2], "base", seed=number, draws=200).players["sl_cai"]

    assert honest(coverage(world, 0.5 * ELO_PER_LOGIT))


@pytest.mark.exhaustive
def test_coverage_of_three_planted_players_with_ties() -> None:
    """A quarter of the games are ties; the figure is the log-odds of the expected score."""
    strengths = np.array([0.0, 0.6, -0.9])
    score = 1 / (1 + np.exp(strengths[None] - strengths[:, None]))

    def world(source: np.random.Generator, number: int) -> Rate:
        drawn = source.random((80, 3, 3))
        # Losing below, tying in the middle, winning above: the expected score stays as planted.
        half = 0.25 * np.minimum(score, 1 - score)
        one = np.where(drawn > 1 - score + half, 1.0, np.where(drawn > 1 - score - half, 0.5, 0.0))
        upper = np.triu(one, 1)
        wins = upper + np.tril(1 - one.transpose(0, 2, 1), -1)
        return elo(wins, NAMES, "base", seed=number, draws=200).players["rl_cai"]

    assert honest(coverage(world, strengths[2] * ELO_PER_LOGIT))


def test_ties_make_equals() -> None:
    rates = elo(_wins(np.zeros(3), 12), NAMES, "base", seed=0, draws=10).players
    assert [rate.value for rate in rates.values()] == pytest.approx([0, 0, 0], abs=1e-9)


def test_n_counts_the_prompts_on_which_a_player_met_another() -> None:
    wins = _wins(np.zeros(3), 5)
    wins[:2, 2, :] = wins[:2, :, 2] = 0
    rates = elo(wins, NAMES, "base", seed=0, draws=10).players
    assert [rates[name].n for name in NAMES] == [5, 5, 3]


def test_strengths_pass_through_a_third_player() -> None:
    """Two that never met are compared through the one that both met."""
    wins = _wins(np.array([0.0, 1.0, 2.0]), 3000)
    wins[:, 0, 2] = wins[:, 2, 0] = 0
    fitted = fit(wins.sum(0)[None], 0, prior=1e-9)
    assert fitted[0] == pytest.approx([0, 1, 2], abs=1e-6)


def test_many_matrices_at_once_are_fitted_one_by_one() -> None:
    wins = np.random.default_rng(3).uniform(0, 50, (6, 3, 3))
    together = fit(wins, 1)
    apart = np.concatenate([fit(one[None], 1) for one in wins])
    assert together == pytest.approx(apart, abs=1e-8)


def test_the_fit_is_a_logistic_regression() -> None:
    """Bradley-Terry as a binomial model with one column a player (statsmodels)."""
    wins = np.random.default_rng(8).integers(1, 30, (4, 4)).astype(float)
    np.fill_diagonal(wins, 0)
    pairs = [(i, j) for i in range(4) for j in range(i)]
    design = np.array([np.eye(4)[i] - np.eye(4)[j] for i, j in pairs])[:, 1:]
    counts = np.array([[wins[i, j], wins[j, i]] for i, j in pairs])
    known = sm.GLM(counts, design, family=sm.families.Binomial()).fit().params
    assert fit(wins[None], 0, prior=1e-9)[0, 1:] == pytest.approx(known, abs=1e-6)
