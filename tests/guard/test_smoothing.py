from __future__ import annotations

import numpy as np
import pytest

from charter.guard.smoothing import Smoothing

LOGITS = np.array([3.0, -1.0, 0.0, 2.0])


def test_a_running_mean_begins_at_its_prior() -> None:
    found = Smoothing("mean", 2, -1.0).along(LOGITS)
    assert found == pytest.approx([1 / 3, 0.0, 0.0, 2 / 6])


def test_the_ema_is_what_its_steps_give() -> None:
    ema, state = Smoothing("ema", 3, -2.0), -2.0
    along = ema.along(LOGITS)
    for logit, expected in zip(LOGITS, along, strict=True):
        state = ema.step(state, float(logit))
        assert state == pytest.approx(expected)
    assert along[0] == pytest.approx(0.5 * -2 + 0.5 * 3)


def test_without_smoothing_the_peak_is_the_largest_logit() -> None:
    assert Smoothing("none").peak(LOGITS) == 3.0


def test_a_text_without_tokens_has_the_prior() -> None:
    assert Smoothing("ema", 4, -1.5).peak(np.array([])) == -1.5


@pytest.mark.parametrize("kind", ["mean", "ema", "none"])
def test_the_peak_never_falls_as_the_text_grows(kind: str) -> None:
    smoothing = Smoothing(kind, 4, -1.0)  # type: ignore[arg-type]
    logits = np.random.default_rng(0).normal(size=50)
    peaks = [smoothing.peak(logits[:t]) for t in range(1, 51)]
    assert peaks == sorted(peaks)
