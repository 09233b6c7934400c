"""Curves with intervals, and the verdict on them, on planted paths."""

from __future__ import annotations

import numpy as np
import pytest

from charter.studies.curve import Path, trace, verdict

DISTANCES = np.linspace(0.0, 4.0, 12)


def planted(scores: np.ndarray, *, prompts: int = 30, noise: float = 0.05) -> Path:
    source = np.random.default_rng(1)
    sums = scores + noise * source.normal(size=(prompts, len(scores)))
    # What a prompt is worth by itself must drop out.
    sums = sums + 10 * source.normal(size=(prompts, 1))
    return Path("best-of-n", range(len(scores)), DISTANCES**2, sums, np.ones_like(sums))


def test_a_planted_peak_is_found_and_passed() -> None:
    curve = trace("gold", planted(DISTANCES * (2.0 - 0.5 * DISTANCES)), seed=0, draws=100)
    assert curve.alpha is not None and curve.beta is not None and curve.peak is not None
    assert curve.alpha.low < 2.0 < curve.alpha.high and curve.beta.low < 0.5 < curve.beta.high
    assert curve.peak.value == pytest.approx(2.0, rel=0.05)
    assert curve.verdict == "past"
    assert curve.points[0].value.value == curve.points[0].value.high == 0.0
    assert curve.points[-1].kl == pytest.approx(16.0)


def test_a_score_that_rises_has_not_peaked() -> None:
    curve = trace("gold", planted(DISTANCES**1.5), seed=0, draws=100)
    assert curve.verdict == "before"
    assert curve.peak is not None and curve.peak.value is None


def test_a_score_that_only_falls_peaks_at_the_start() -> None:
    curve = trace("gold", planted(-DISTANCES), seed=0, draws=100)
    assert curve.verdict == "past" and curve.peak is not None and curve.peak.value == 0.0


def test_noise_is_undecided_and_few_points_are_no_curve() -> None:
    noise = planted(np.zeros(12), prompts=6, noise=1.0)
    assert trace("gold", noise, seed=0, draws=200).verdict == "undecided"
    short = Path("rl", (0, 1, 2), np.arange(3.0), np.ones((4, 3)), np.ones((4, 3)))
    curve = trace("gold", short, seed=0, draws=50)
    assert curve.verdict == "no fit" and curve.fit is None and len(curve.points) == 3


def test_the_verdict_asks_for_the_whole_interval() -> None:
    assert verdict(1.0, 2.0, 3.0) == "past"
    assert verdict(3.5, 9.0, 3.0) == "before"
    assert verdict(2.0, 4.0, 3.0) == "undecided"
