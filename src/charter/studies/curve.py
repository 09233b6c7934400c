"""A score along a path away from the start policy: Gao's form fitted, with intervals.

Owns the bootstrap over prompts, the peak and its interval, and the verdict "past the peak". The
form itself is `statistics.gao`. Knows no model: means by prompt and point come in.

Shape suffixes: P prompts, K points of the path (the first one is the start), D draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from charter.records import Record
from charter.statistics import Rate
from charter.statistics.bootstrap import bootstrap
from charter.statistics.gao import Form, GaoFit, fit_gao

Verdict = Literal["past", "before", "undecided", "no fit"]
"""Where the end of the path stands to the peak. `past`: the whole interval of the peak lies before
the end. `before`: it lies beyond. `no fit`: there are too few points."""
FAR = 1e9
"""Stands for a peak beyond all sight while draws are sorted; it never leaves this module."""


class Point(Record, frozen=True):
    """One policy of a path.

    Attributes:
        setting: n of best-of-n, or the step of training.
        kl: divergence from the start policy in nats, of a whole answer.
        distance: √KL.
        value: score less the start policy's, in standard deviations of the start's answers.
    """

    setting: int
    kl: float
    distance: float
    value: Rate


class Peak(Record, frozen=True):
    """Where a fitted curve is highest, as √KL; None stands for "beyond all sight"."""

    value: float | None
    low: float | None
    high: float | None


class Curve(Record, frozen=True):
    """One scorer along one path.

    Attributes:
        scorer: its name.
        form: the path, and with it the form.
        points: as measured.
        fit: least squares through the start; None with fewer than four points.
        alpha: with its bootstrap interval over prompts, as are `beta` and `peak`.
        verdict: see `Verdict`.
    """

    scorer: str
    form: Form
    points: list[Point]
    fit: GaoFit | None
    alpha: Rate | None
    beta: Rate | None
    peak: Peak | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Path:
    """What was measured along a path.

    Attributes:
        settings: n or step of every point [K]; the first point is the start policy.
        kl_K: divergence of every point; 0 at the start.
        sums_PK: sum of the scores of each prompt's answers at each point.
        counts_PK: how many answers those were; 0 where a prompt was not visited.
    """

    form: Form
    settings: Sequence[int]
    kl_K: np.ndarray
    sums_PK: np.ndarray
    counts_PK: np.ndarray


def trace(scorer: str, path: Path, *, seed: int, draws: int = 500) -> Curve:
    """Fit a path and put intervals on everything, drawing prompts.

    Args:
        scorer: name of what measured.
        path: at least one prompt, and the start among the points.
        seed: of the bootstrap.
        draws: resamples.
    """
    prompts, points = path.counts_PK.shape
    distance_K = np.sqrt(np.maximum(path.kl_K, 0.0))
    whole_K = _gains(np.ones((1, prompts)), path)[0]
    fit = fit_gao(distance_K[1:].tolist(), whole_K[1:].tolist(), path.form)

    def statistic(weights_DP: np.ndarray) -> np.ndarray:
        gains_DK = _gains(weights_DP, path)
        if fit is None:
            return gains_DK
        fits = [_figures(row_K, distance_K, path.form) for row_K in gains_DK]
        return np.concatenate([gains_DK, np.array(fits)], axis=1)

    low, high = bootstrap(statistic, prompts, seed=seed, draws=draws)
    numbers = path.counts_PK.sum(0)
    found = [
        Point(int(setting), float(kl), float(d), Rate(float(v), float(a), float(b), int(n)))
        for setting, kl, d, v, a, b, n in zip(
            path.settings, path.kl_K, distance_K, whole_K, low, high, numbers, strict=False
        )
    ]
    if fit is None:
        return Curve(scorer, path.form, found, None, None, None, None, "no fit")
    (a_low, b_low, p_low), (a_high, b_high, p_high) = low[points:], high[points:]
    alpha = Rate(fit.alpha, float(a_low), float(a_high), fit.n)
    beta = Rate(fit.beta, float(b_low), float(b_high), fit.n)
    farthest = float(distance_K.max())
    peak = Peak(*(_seen(p) for p in (_peak(fit, farthest), float(p_low), float(p_high))))
    where = verdict(float(p_low), float(p_high), farthest)
    return Curve(scorer, path.form, found, fit, alpha, beta, peak, where)


def verdict(peak_low: float, peak_high: float, farthest: float) -> Verdict:
    """Whether a path that ends at a distance has passed a peak with this interval."""
    if peak_high < farthest:
        return "past"
    return "before" if peak_low > farthest else "undecided"


def _gains(weights_DP: np.ndarray, path: Path) -> np.ndarray:
    """Mean score of every point less the start's, [D, K]."""
    count_DK = weights_DP @ path.counts_PK
    whole_K = path.sums_PK.sum(0) / np.maximum(path.counts_PK.sum(0), 1)
    # A draw without one prompt of a point knows no better than the whole sample.
    mean_DK = np.where(
        count_DK > 0, (weights_DP @ path.sums_PK) / np.maximum(count_DK, 1e-12), whole_K
    )
    return np.asarray(mean_DK - mean_DK[:, :1])


def _figures(gain_K: np.ndarray, distance_K: np.ndarray, form: Form) -> tuple[float, float, float]:
    fit = fit_gao(distance_K[1:].tolist(), gain_K[1:].tolist(), form)
    assert fit is not None, "the distances do not change from draw to draw"
    return fit.alpha, fit.beta, _peak(fit, float(distance_K.max()))


def _peak(fit: GaoFit, farthest: float) -> float:
    """The peak; 0 for a score that only falls, `FAR` for one that only rises."""
    if fit.peak is not None:
        return min(fit.peak, FAR)
    return 0.0 if fit.at(farthest) < 0 else FAR


def _seen(peak: float) -> float | None:
    return None if peak >= FAR / 2 else peak
