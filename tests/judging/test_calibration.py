from __future__ import annotations

import numpy as np
import pytest

from charter.judging.calibration import fit_temperature, reliability


def test_a_calibrated_predictor_has_a_small_error() -> None:
    source = np.random.default_rng(0)
    p = source.random(20_000)
    y = (source.random(20_000) < p).astype(float)
    found = reliability(p.tolist(), y.tolist())
    assert found["ece"] < 0.02
    assert found["accuracy"].value == pytest.approx(0.75, abs=0.01)


def test_an_overconfident_predictor_is_caught() -> None:
    source = np.random.default_rng(0)
    y = (source.random(5_000) < 0.6).astype(float)
    found = reliability([0.99] * 5_000, y.tolist())
    assert found["ece"] == pytest.approx(0.39, abs=0.03)


def test_ties_count_one_half() -> None:
    found = reliability([0.5, 0.9], [1.0, 1.0])
    assert found["accuracy"].value == 0.75


def test_swapping_every_pair_changes_nothing() -> None:
    p, y = [0.9, 0.3, 0.6], [1.0, 0.2, 0.0]
    one = reliability(p, y)
    other = reliability([1 - x for x in p], [1 - x for x in y])
    assert one["ece"] == pytest.approx(other["ece"])
    assert one["brier"] == pytest.approx(other["brier"])


def test_nothing_to_measure() -> None:
    assert reliability([], [])["accuracy"].n == 0


def test_temperature_is_recovered() -> None:
    source = np.random.default_rng(1)
    z = source.normal(0, 2, 20_000)
    y = (source.random(20_000) < 1 / (1 + np.exp(-z))).astype(float)
    assert fit_temperature((3 * z).tolist(), y.tolist()) == pytest.approx(3, rel=0.1)
