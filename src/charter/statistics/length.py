"""Length-controlled win rate: what would be won if both answers were equally long.

A logistic model of the preference, with one term for the model and one for the length (Dubois et
al. 2024, AlpacaEval-LC):

    logit P(m beats the reference) = θ + φ · tanh(Δ / s)

Δ is the difference of the lengths and s the standard deviation of Δ over the prompts. The
controlled win rate is σ(θ), the length term set to 0. AlpacaEval's third term, how hard each prompt
is for the reference, is left out: it is fitted over many models at once and is 0 on average. Lee et
al. 2023 read off the same thing with the ratio of lengths, at ratio 1.

Small penalties keep a clean sweep finite: half a win and half a loss at equal lengths, as in `elo`,
and a normal prior of variance 10 on φ. Length is held fixed by arithmetic only: whatever goes along
with length, such as detail, goes with it.

Shape suffixes: N pairs, 2 for the coefficients θ and φ.
"""

from __future__ import annotations

import math

import numpy as np

from charter.errors import InputError
from charter.records import Record
from charter.statistics.clusters import clustered_rate
from charter.statistics.rate import Z95, Rate

_HALF_GAMES = 1.0
"""Games at equal lengths that are added, half won."""
_RIDGE = 0.1
"""Inverse variance of the prior on φ."""
_STEPS, _TOLERANCE = 100, 1e-12


class LengthControlled(Record, frozen=True):
    """A win rate as counted, and at equal lengths.

    Attributes:
        raw: as counted.
        controlled: at equal lengths; the interval is Wald's in log-odds, robust to clusters.
        length_effect: φ, log-odds gained by an answer that is much longer. `n` counts pairs.
        length_scale: s, in the unit of the lengths.
        unscored: pairs without a preference or a length.
    """

    raw: Rate
    controlled: Rate
    length_effect: Rate
    length_scale: float
    unscored: int


def length_controlled(
    wins: np.ndarray,
    length_difference: np.ndarray,
    *,
    clusters: np.ndarray | None = None,
) -> LengthControlled:
    """Win rate against a reference, with the length term set to 0.

    Args:
        wins: [N], P(the model's answer beats the reference's), ties one half; nan is unscored.
        length_difference: [N], length of the model's answer minus the reference's, in any unit.
        clusters: [N], the prompt of each pair; without it every pair is its own.

    Raises:
        InputError: no pair has both a preference and a length.
    """
    wins_N = np.asarray(wins, dtype=float)
    gap_N = np.asarray(length_difference, dtype=float)
    known_N = ~(np.isnan(wins_N) | np.isnan(gap_N))
    groups_N = np.arange(len(wins_N)) if clusters is None else np.asarray(clusters)
    wins_N, gap_N, groups_N = wins_N[known_N], gap_N[known_N], groups_N[known_N]
    if not len(wins_N):
        raise InputError("no pair has a preference and two lengths", expected="at least one")
    scale = float(gap_N.std())
    design_N2 = np.stack([np.ones(len(gap_N)), np.tanh(gap_N / (scale or 1.0))], axis=1)
    coefficients_2 = _fit(design_N2, wins_N)
    errors_2 = _robust_errors(design_N2, wins_N, coefficients_2, groups_N)
    theta, phi = (_wald(c, e, len(wins_N)) for c, e in zip(coefficients_2, errors_2, strict=True))
    return LengthControlled(
        clustered_rate(wins_N, groups_N).rate,
        Rate(_sigmoid(theta.value), _sigmoid(theta.low), _sigmoid(theta.high), theta.n),
        phi,
        scale,
        int((~known_N).sum()),
    )


def _fit(design_N2: np.ndarray, wins_N: np.ndarray) -> np.ndarray:
    """Penalised maximum likelihood by Newton's method; strictly concave: one optimum."""
    coefficients_2 = np.zeros(2)
    for _ in range(_STEPS):
        gradient_2 = design_N2.T @ (wins_N - _p(design_N2 @ coefficients_2))
        gradient_2 += _prior_gradient(coefficients_2)
        step = np.linalg.solve(_information(design_N2, coefficients_2), gradient_2)
        # A full step from far away could overshoot where the curvature is flat.
        coefficients_2 = coefficients_2 + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < _TOLERANCE:
            break
    return coefficients_2


def _prior_gradient(coefficients_2: np.ndarray) -> np.ndarray:
    theta, phi = coefficients_2
    return np.array([_HALF_GAMES * (0.5 - _sigmoid(theta)), -_RIDGE * phi])


def _information(design_N2: np.ndarray, coefficients_2: np.ndarray) -> np.ndarray:
    """Curvature [2, 2] of the penalised likelihood."""
    p_N = _p(design_N2 @ coefficients_2)
    p = _sigmoid(coefficients_2[0])
    own = (design_N2 * (p_N * (1 - p_N))[:, None]).T @ design_N2
    return np.asarray(own + np.diag([_HALF_GAMES * p * (1 - p), _RIDGE]))


def _robust_errors(
    design_N2: np.ndarray, wins_N: np.ndarray, coefficients_2: np.ndarray, groups_N: np.ndarray
) -> np.ndarray:
    """Cluster-robust standard errors [2] (Liang and Zeger 1986), infinite for one cluster."""
    scores_N2 = design_N2 * (wins_N - _p(design_N2 @ coefficients_2))[:, None]
    place_N = np.unique(groups_N, return_inverse=True)[1]
    groups = int(place_N.max()) + 1
    if groups == 1:
        return np.full(2, np.inf)
    sums = np.stack([np.bincount(place_N, weights=column) for column in scores_N2.T], axis=1)
    bread = np.linalg.inv(_information(design_N2, coefficients_2))
    # The prior's games vary like any others. Without them a clean sweep, whose scores are all
    # alike, would look certain.
    p = _sigmoid(coefficients_2[0])
    of_prior = np.diag([_HALF_GAMES * (p**2 + (1 - p) ** 2) / 2, _RIDGE])
    meat = sums.T @ sums * groups / (groups - 1) + of_prior
    return np.asarray(np.sqrt(np.diag(bread @ meat @ bread)))


def _wald(coefficient: float, error: float, n: int) -> Rate:
    half = Z95 * float(error)
    return Rate(float(coefficient), float(coefficient) - half, float(coefficient) + half, n)


def _p(logit_N: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (1 + np.tanh(logit_N / 2)))


def _sigmoid(logit: float) -> float:
    return 0.5 * (1 + math.tanh(logit / 2))
