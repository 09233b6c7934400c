"""The monitor on a made-up training whose course is known."""

from __future__ import annotations

from typing import Any

import pytest

from charter.records import Message
from charter.training.monitor import Monitor, MonitorRow, agreement, mean_rate
from charter.training.rl_settings import MonitorSettings

TALK, OTHER = (Message("user", "one"),), (Message("user", "two"),)


def drive(monitor: Monitor, proxy: list[float], *, kl: list[float]) -> None:
    """One step a value: four answers around the proxy's value."""
    for step, (value, distance) in enumerate(zip(proxy, kl, strict=True), start=1):
        answers = [f"{value + spread:.3f}" for spread in (-0.1, 0.0, 0.1, 0.05)]
        monitor.read(step, [TALK] * 4, answers, [float(a) for a in answers])
        monitor.close(step, {"kl": distance, "entropy": 1.5, "tokens": 3.0})
        if monitor.stop:
            return


def gold(conversations: Any, answers: list[str]) -> list[float | None]:
    """Rises with the proxy up to 1, then falls: the planted overoptimisation."""
    return [min(float(a), 2.0 - float(a)) for a in answers]


def test_it_stops_after_the_peak_of_the_held_out_score_not_of_the_proxy() -> None:
    kept: list[int] = []
    monitor = Monitor(MonitorSettings(window=2), held_out=gold)
    proxy = [0.1 * i for i in range(21)]
    for step, value in enumerate(proxy, start=1):
        answers = [f"{value + s:.3f}" for s in (-0.1, 0.0, 0.1)]
        monitor.read(step, [TALK] * 3, answers, [float(a) for a in answers])
        kept += [step] if monitor.at_best else []
        monitor.close(step, {"kl": 0.1 * step})
        if monitor.stop:
            break
    assert monitor.stop and 12 < len(monitor.rows) < 21
    assert kept[-1] == monitor.notes()["peak_step"] in (11, 12)
    assert monitor.notes()["kept"] == "peak"
    assert monitor.rows[-1].reward.value > monitor.rows[10].reward.value  # type: ignore[union-attr]


def test_it_may_be_told_only_to_watch() -> None:
    monitor = Monitor(MonitorSettings(window=2, stop=False), held_out=gold)
    drive(monitor, [0.1 * i for i in range(21)], kl=[0.1 * i for i in range(21)])
    assert len(monitor.rows) == 21 and monitor.rows[-1].past_peak and not monitor.stop


def test_a_row_holds_what_was_measured_and_null_for_what_was_not() -> None:
    rows: list[MonitorRow] = []
    monitor = Monitor(MonitorSettings(), refusal=lambda text: "sorry" in text, write=rows.append)
    read = monitor.read(1, [TALK, TALK, OTHER], ["sorry no", "yes", ""], [1.0, 2.0, None])
    assert read == [{}, {}, {}] and rows == []
    monitor.close(1, {"entropy": 0.5})
    (row,) = rows
    assert (row.reward.value, row.reward.n, row.left_out) == (1.5, 2, 1)  # type: ignore[union-attr]
    assert (row.refusal.value, row.refusal.n) == (0.5, 2)  # type: ignore[union-attr]
    assert (row.held_out, row.agreement, row.kl, row.entropy) == (None, None, None, 0.5)


def test_readings_go_into_the_record_of_each_sample() -> None:
    def shy(conversations: Any, answers: list[str]) -> list[float | None]:
        return [None, 0.25]

    monitor = Monitor(MonitorSettings(every=2), held_out=shy)
    assert monitor.read(1, [TALK] * 2, ["a", "b"], [1.0, 1.0]) == [
        {"held_out": None},
        {"held_out": 0.25},
    ]
    monitor.close(1, {})
    assert monitor.rows[0].held_out_unscored == 1
    assert monitor.read(2, [TALK] * 2, ["a", "b"], [1.0, 1.0]) == [{}, {}]


def test_the_curve_of_the_reward_is_fitted_as_it_goes() -> None:
    monitor = Monitor(MonitorSettings(stop=False), held_out=gold)
    kl = [0.0, 0.5, 1.0, 2.0, 3.0, 4.0]
    drive(monitor, [k**0.5 for k in kl], kl=kl)
    assert monitor.rows[3].proxy_fit is None
    fit = monitor.rows[-1].proxy_fit
    # The proxy is the distance itself: straight, so it never peaks.
    assert fit is not None and fit.alpha == pytest.approx(1.0, abs=1e-3)
    assert fit.beta == pytest.approx(0.0, abs=1e-3)


def test_agreement_is_counted_within_a_conversation() -> None:
    talks = [TALK, TALK, OTHER, OTHER]
    same = agreement(talks, [1.0, 2.0, 9.0, 8.0], [0.1, 0.2, 0.7, 0.6])
    assert same is not None and (same.value, same.n) == (1.0, 2)
    tied = agreement(talks, [1.0, 2.0, 9.0, 8.0], [0.2, 0.2, None, 0.6])
    assert tied is not None and (tied.value, tied.n) == (0.5, 1)
    assert agreement([TALK], [1.0], [1.0]) is None


def test_drift_is_the_change_of_agreement() -> None:
    signs = [1.0] * 3 + [-1.0] * 3

    def turncoat(conversations: Any, answers: list[str]) -> list[float | None]:
        return [signs[step - 1] * float(a) for a in answers]

    monitor = Monitor(MonitorSettings(window=3, stop=False), held_out=turncoat)
    for step in range(1, 7):
        monitor.read(step, [TALK] * 2, ["1", "2"], [1.0, 2.0])
        monitor.close(step, {})
    assert monitor.notes()["agreement_drift"] == -1.0


def test_the_mean_of_nothing_is_not_zero() -> None:
    assert mean_rate([]) is None
    found = mean_rate([1.0, 3.0])
    assert found is not None and found.value == 2.0 and found.low < 1.0
