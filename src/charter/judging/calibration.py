"""Are probabilities what they say? Reliability bins, Brier score, NLL, calibration error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from charter.statistics import wilson

_EPSILON = 1e-6


def reliability(
    predicted: Sequence[float], targets: Sequence[float], *, bins: int = 5
) -> dict[str, Any]:
    """Agreement and calibration of P(A better) against (soft) labels, folded onto the winner.

    A pair and its swap say the same thing, so each is read from the side that the prediction
    favours: confidence in [.5, 1] against how often that side was right.

    Args:
        predicted: P(A better).
        targets: 1, 0, or a soft label; .5 is a tie.
        bins: equally wide bins over [.5, 1].

    Returns:
        `accuracy` (Wilson interval; ties one half), `brier`, `nll`, `ece`, and `calibration`:
        the non-empty bins with `low`, `high`, `mean_p`, `rate`, `n`.
    """
    p, y = np.asarray(predicted, dtype=float), np.asarray(targets, dtype=float)
    if not len(p):
        return {
            "accuracy": wilson(0, 0),
            "brier": None,
            "nll": None,
            "ece": None,
            "calibration": [],
        }
    q = np.clip(p, _EPSILON, 1 - _EPSILON)
    table = _bins(np.maximum(p, 1 - p), _agreement(p, y), bins)
    return {
        "accuracy": wilson(float(_hard_agreement(p, y).sum()), len(p)),
        "brier": float(((p - y) ** 2).mean()),
        "nll": float(-(y * np.log(q) + (1 - y) * np.log(1 - q)).mean()),
        "ece": sum(b["n"] * abs(b["mean_p"] - b["rate"]) for b in table) / len(p),
        "calibration": table,
    }


def fit_temperature(logits: Sequence[float], targets: Sequence[float]) -> float:
    """Temperature T minimising the NLL of sigmoid(logit / T) (Guo et al. 2017), by grid search."""
    z, y = np.asarray(logits, dtype=float), np.asarray(targets, dtype=float)
    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 241))

    def loss(temperature: float) -> float:
        scaled = z / temperature
        return float((np.logaddexp(0, scaled) - y * scaled).mean())

    return float(min(grid, key=loss))


def fit_platt(logits: Sequence[float], targets: Sequence[float]) -> tuple[float, float]:
    """Slope and bias minimising the NLL of sigmoid(slope * logit + bias) (Platt 1999).

    Targets are drawn in from 0 and 1 as in the paper, (n+ + 1) / (n+ + 2) and 1 / (n- + 2), so that
    data which a threshold separates do not ask for an endless slope.
    """
    z, y = np.asarray(logits, dtype=float), np.asarray(targets, dtype=float)
    high, low = (y.sum() + 1) / (y.sum() + 2), 1 / ((1 - y).sum() + 2)
    y = low + (high - low) * y

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        scaled = parameters[0] * z + parameters[1]
        residual = expit(scaled) - y
        value = float((np.logaddexp(0, scaled) - y * scaled).mean())
        return value, np.array([(residual * z).mean(), residual.mean()])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS")
    return float(found.x[0]), float(found.x[1])


def _agreement(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Target of the side that the prediction favours; one half where it favours none."""
    return np.where(p > 0.5, y, np.where(p < 0.5, 1 - y, 0.5))


def _hard_agreement(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    sides = np.sign(p - 0.5) * np.sign(y - 0.5)
    return np.asarray((sides + 1) / 2)


def _bins(confidence: np.ndarray, right: np.ndarray, count: int) -> list[dict[str, Any]]:
    edges = np.linspace(0.5, 1.0, count + 1)
    place = np.clip(np.digitize(confidence, edges) - 1, 0, count - 1)
    return [
        {
            "low": float(edges[i]),
            "high": float(edges[i + 1]),
            "mean_p": float(confidence[place == i].mean()),
            "rate": float(right[place == i].mean()),
            "n": int((place == i).sum()),
        }
        for i in range(count)
        if (place == i).any()
    ]
