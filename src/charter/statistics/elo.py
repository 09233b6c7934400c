"""Elo figures: a Bradley-Terry fit to soft wins, anchored at one player.

Knows nothing of answers or scorers: wins come in, Elo figures go out. Scale as in Bai et al. 2022
(§4.3): P(i beats j) = 1 / (1 + 10^((E_j - E_i) / 400)).

A tie is half a win for each side, as in chess. The figures are then log-odds of the expected
*score* (a win is 1, a tie ½), not of a win among decided games, as in Davidson's model (1970): many
ties draw models together, which is what a reader of a win rate with ties at one half expects.

Shape suffixes: D draws, P prompts, M players.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from charter.records import Record
from charter.statistics.bootstrap import Statistic, bootstrap
from charter.statistics.rate import Rate

ELO_PER_LOGIT = 400 / np.log(10)
"""One unit of log-odds, in Elo (about 173.7)."""

PRIOR = 0.5
"""Wins that every player is credited with against every other before the first game. One half is
Jeffreys' choice for a share; it keeps a clean sweep finite and costs little after a few games."""

_LEAST_PRIOR = 1e-9
"""A gamma draw may come out as 0, which would make a strength infinite."""

_STEPS, _TOLERANCE, _LONGEST_STEP = 200, 1e-10, 2.0


class EloFigures(Record, frozen=True):
    """Elo of every player, in the order given. `n`: prompts on which it met another player."""

    players: dict[str, Rate]
    anchor: str


def elo(
    wins: np.ndarray,
    players: Sequence[str],
    anchor: str,
    *,
    seed: int,
    draws: int = 1000,
    prior: float = PRIOR,
) -> EloFigures:
    """Fit Elo figures, with percentile bootstrap intervals over prompts.

    The prior's wins are drawn anew in every resample, from a gamma distribution with the prior as
    its mean. Against a constant prior every resample of a clean sweep would be the same sweep, and
    its interval a single point; this way it is that of a Jeffreys prior (a ratio of gammas is a
    beta), and elsewhere it changes next to nothing.

    Args:
        wins: [P, M, M]; `wins[p, i, j]` is P(player i beats j) on prompt p, a tie being one half,
            so `wins[p, i, j] + wins[p, j, i]` is 1, or 0 if the two did not meet there.
        players: names, in the order of the matrix.
        anchor: the player whose Elo is 0 by definition.
        seed: of the bootstrap.
        draws: resamples.
        prior: wins credited to each side of every pair.
    """
    wins_PMM = np.asarray(wins, dtype=float)
    assert wins_PMM.shape[1:] == (len(players), len(players)), wins_PMM.shape
    place = list(players).index(anchor)
    value_M = ELO_PER_LOGIT * fit(wins_PMM.sum(0)[None], place, prior=prior)[0]
    refit = _refitting(wins_PMM, place, seed, prior)
    low_M, high_M = bootstrap(refit, len(wins_PMM), seed=seed, draws=draws)
    met_M = ((wins_PMM + wins_PMM.transpose(0, 2, 1)) > 0).any(2).sum(0)
    rates = {
        name: Rate(float(value_M[i]), float(low_M[i]), float(high_M[i]), int(met_M[i]))
        for i, name in enumerate(players)
    }
    return EloFigures(rates, anchor)


def _refitting(wins_PMM: np.ndarray, place: int, seed: int, prior: float) -> Statistic:
    """Elo [D, M] as a function of weights; every resample has a prior of its own."""
    flat = wins_PMM.reshape(len(wins_PMM), -1)
    # Apart from the stream that draws the prompts.
    source = np.random.default_rng([seed, 1])

    def refit(weights_DP: np.ndarray) -> np.ndarray:
        totals_DMM = (weights_DP @ flat).reshape(-1, *wins_PMM.shape[1:])
        drawn_DMM = np.maximum(source.gamma(prior, size=totals_DMM.shape), _LEAST_PRIOR)
        return np.asarray(ELO_PER_LOGIT * fit(totals_DMM, place, prior=drawn_DMM))

    return refit


def fit(wins: np.ndarray, anchor: int, *, prior: float | np.ndarray = PRIOR) -> np.ndarray:
    """Bradley-Terry strengths of maximum likelihood, for many win matrices at once.

    Newton's method; the likelihood with its prior is strictly concave, so there is one optimum.

    Args:
        wins: [D, M, M], summed over games; the diagonal is not read.
        anchor: the player whose strength is 0, exactly.
        prior: wins credited to each side of every pair, more than 0; one number, or [D, M, M].

    Returns:
        strengths [D, M] in log-odds.
    """
    assert np.min(prior) > 0, prior
    players = wins.shape[1]
    others = np.delete(np.arange(players), anchor)
    wins_DMM = (wins + prior) * (1 - np.eye(players))
    games_DMM = wins_DMM + wins_DMM.transpose(0, 2, 1)
    theta_DM = np.zeros(wins.shape[:2])
    for _ in range(_STEPS if len(others) else 0):
        step = _newton_step(wins_DMM, games_DMM, theta_DM, others)
        theta_DM[:, others] += step
        if np.abs(step).max() < _TOLERANCE:
            break
    return theta_DM


def _newton_step(
    wins_DMM: np.ndarray, games_DMM: np.ndarray, theta_DM: np.ndarray, free: np.ndarray
) -> np.ndarray:
    """Newton's step [D, M-1] for the players that are not the anchor, cut to a safe length."""
    gap_DMM = theta_DM[:, :, None] - theta_DM[:, None, :]
    p_DMM = 0.5 * (1 + np.tanh(gap_DMM / 2))
    gradient_DM = (wins_DMM - games_DMM * p_DMM).sum(2)
    spread_DMM = games_DMM * p_DMM * (1 - p_DMM)
    curvature = np.eye(wins_DMM.shape[1]) * spread_DMM.sum(2)[:, :, None] - spread_DMM
    matrix = curvature[:, free[:, None], free]
    step = np.linalg.solve(matrix, gradient_DM[:, free, None])[..., 0]
    # Far from the optimum the curvature is nearly flat and a full step would overshoot.
    longest = np.maximum(1.0, np.abs(step).max(1, keepdims=True) / _LONGEST_STEP)
    return np.asarray(step / longest)
