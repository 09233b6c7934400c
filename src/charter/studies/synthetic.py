"""A gold reward whose true curve is known, to see whether the study finds it.

A sample is one number x, which is also what the proxy pays; the start policy draws x ~ N(0, 1). The
gold reward g(x) is chosen so that its expectation along a path *is* Gao's form:

    best of n    E[g(best of n)] = d (α - β d),      d = √(ln n - (n-1)/n)
    rl           E[g(x)], x ~ N(λ, 1), = d (α - β ln d),  d = λ/√2, the optimum of proxy less KL

Both are linear in g, so g is a sum of a few functions whose expectations are known or integrated,
fitted to the form; what the fit leaves over is returned, so that nobody has to believe it.

Shape suffixes: P prompts, N samples, K points, B basis functions, T points of integration.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.hermite_e import hermeval
from scipy.integrate import trapezoid
from scipy.special import log_ndtr

from charter.records import Record
from charter.statistics.gao import Form
from charter.studies.best_of_n_curve import grid
from charter.training.best_of_n import best_of_n_kl

_POWERS = (0.5, 1.0, 1.5, 2.0, 2.5)
_TAILS = (0.0, 1.0, 2.0, 4.0)
_DEGREE = 7
_LONGEST = 60.0


class Truth(Record, frozen=True):
    """The curve that was planted.

    Attributes:
        form: of the path.
        alpha: planted.
        beta: planted.
        peak: d* that follows from both.
        misfit: largest distance of the gold reward's true curve from the form, as a share of the
            curve's height at the peak.
    """

    form: Form
    alpha: float
    beta: float
    peak: float
    misfit: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """Samples of one path: gold readings [P, N], proxy readings [P, N], and measured KL."""

    truth: Truth
    proxy_PN: np.ndarray
    gold_PN: np.ndarray
    kl: float = 0.0


def best_of_n_pool(
    prompts: int, samples: int, *, alpha: float, beta: float, noise: float, seed: int
) -> Drawn:
    """A pool of samples of the start policy, for the best-of-n path up to `samples`.

    Args:
        prompts: each shifts the gold reward of its samples by an amount of its own.
        samples: a prompt.
        alpha: of the true curve; `beta` too, both positive.
        noise: standard deviation of what the gold reward adds that the proxy does not see.
        seed: of the draw.
    """
    ns = np.array(grid(samples))
    distance_K = np.sqrt([best_of_n_kl(int(n)) for n in ns])
    wanted_K = distance_K * (alpha - beta * distance_K)
    design_KB = _best_of_n_design(ns)
    share_B = np.linalg.lstsq(design_KB, wanted_K, rcond=None)[0]
    truth = _truth("best-of-n", alpha, beta, alpha / (2 * beta), wanted_K - design_KB @ share_B)
    source = np.random.default_rng(seed)
    x_PN = source.normal(size=(prompts, samples))
    shift_P1 = source.normal(size=(prompts, 1))
    # -ln(1 - Φ(x)), the sample's quantile on the scale of an exponential
    gold_PN = _basis(-log_ndtr(-x_PN)) @ share_B
    gold_PN = gold_PN + shift_P1 + noise * source.normal(size=x_PN.shape)
    return Drawn(truth, x_PN, gold_PN)


def rl_path(
    steps: int,
    prompts: int,
    samples: int,
    *,
    alpha: float,
    beta: float,
    farthest: float,
    noise: float,
    seed: int,
) -> list[Drawn]:
    """Samples of the policies of an RL path, the start first; their KL is measured on the samples.

    Args:
        steps: policies after the start, evenly spaced in √KL.
        prompts: the same at every step, each with a shift of its own.
        samples: a prompt and step.
        alpha: of the true curve; `beta` too, both positive.
        farthest: √KL of the last policy.
        noise: as in `best_of_n_pool`.
        seed: of the draw.
    """
    lam_K = math.sqrt(2) * np.linspace(farthest / 200, farthest, 200)
    wanted_K = lam_K / math.sqrt(2) * (alpha - beta * np.log(lam_K / math.sqrt(2)))
    # E[He_k(x)] = λ^k for x ~ N(λ, 1)
    design_KB = np.stack([lam_K**k for k in range(1, _DEGREE + 1)], 1)
    scale_B = design_KB.max(0)
    share_B = np.linalg.lstsq(design_KB / scale_B, wanted_K, rcond=None)[0] / scale_B
    misfit_K = wanted_K - design_KB @ share_B
    truth = _truth("rl", alpha, beta, math.exp(alpha / beta - 1), misfit_K)
    source = np.random.default_rng(seed)
    shift_P1 = source.normal(size=(prompts, 1))
    found = []
    for distance in np.linspace(0.0, farthest, steps + 1):
        lam = math.sqrt(2) * distance
        x_PN = source.normal(lam, 1.0, size=(prompts, samples))
        gold_PN = hermeval(x_PN, [0.0, *share_B]) + shift_P1
        gold_PN = gold_PN + noise * source.normal(size=x_PN.shape)
        measured = float((lam * x_PN - lam**2 / 2).mean())
        found.append(Drawn(truth, x_PN, gold_PN, measured))
    return found


def _basis(t: np.ndarray) -> np.ndarray:
    """Basis functions [..., B] of the exponential quantile t."""
    powers = [t**power for power in _POWERS]
    return np.stack([*powers, *(np.exp(-tail * t) for tail in _TAILS)], -1)


def _best_of_n_design(ns: np.ndarray) -> np.ndarray:
    """Expectation [K, B] of each basis function at the best of n, by the trapezoid rule."""
    # Dense near 0, where √t is steep: t = s² has no kink there.
    s_T = np.linspace(0.0, math.sqrt(_LONGEST), 12001)
    t_T = s_T**2
    basis_TB = _basis(t_T)
    with np.errstate(divide="ignore"):
        log_u_T = np.log1p(-np.exp(-t_T))
    rows = []
    for n in ns:
        log_power_T = (n - 1) * log_u_T if n > 1 else np.zeros_like(t_T)
        density_T = n * np.exp(log_power_T - t_T) * 2 * s_T
        rows.append(trapezoid(density_T[:, None] * basis_TB, s_T, axis=0))
    return np.array(rows)


def _truth(form: Form, alpha: float, beta: float, peak: float, misfit_K: np.ndarray) -> Truth:
    height = peak * (alpha - beta * (peak if form == "best-of-n" else math.log(peak)))
    return Truth(form, alpha, beta, peak, float(np.abs(misfit_K).max() / height))
