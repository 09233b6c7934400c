"""The stop rule on scores whose course is known."""

from __future__ import annotations

from charter.seeds import draws
from charter.training.peak import Peak


def follow(levels: list[float], *, window: int = 3, z: float = 2.0, noise: float = 0.1) -> Peak:
    peak, source = Peak(window, z), draws("peak", *levels)
    for step, level in enumerate(levels, start=1):
        peak.add(step, [source.gauss(level, noise) for _ in range(8)])
        if peak.past:
            break
    return peak


def test_a_score_that_rises_and_falls_has_peaked_and_the_peak_is_known() -> None:
    peak = follow([0.1 * i for i in range(10)] + [0.9 - 0.15 * i for i in range(10)])
    assert peak.past
    assert peak.best is not None and peak.now is not None
    # The mean of three readings is highest a step after the top.
    assert 10 <= peak.best.step <= 13
    assert peak.now.mean < peak.best.mean


def test_a_score_that_rises_or_stays_has_not_peaked() -> None:
    assert not follow([0.1 * i for i in range(20)]).past
    assert not any(follow([0.5] * 15, noise=0.1 + i / 100, z=4.0).past for i in range(9))


def test_noise_decides_whether_a_fall_counts() -> None:
    levels = [0.5] * 6 + [0.4] * 6
    assert follow(levels, noise=0.02).past
    assert not follow(levels, noise=2.0).past


def test_a_step_without_readings_is_passed_over() -> None:
    peak = Peak(1, 2.0)
    peak.add(1, [1.0, 1.1])
    peak.add(2, [])
    assert not peak.at_best and peak.best is not None and peak.best.step == 1


def test_single_readings_never_make_a_fall() -> None:
    """One number has no spread to judge a fall by."""
    peak = Peak(1, 2.0)
    for step, score in enumerate([5.0, 0.0, 0.0, 0.0], start=1):
        peak.add(step, [score])
    assert not peak.past
