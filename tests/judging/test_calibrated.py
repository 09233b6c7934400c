"""Calibration: what a fit recovers, what it is worth, and where it is applied."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from charter.errors import DataError, InputError
from charter.judging.calibrated import CalibratedJudge, calibrate, load_calibration
from charter.judging.calibration import fit_platt
from charter.judging.labeling import label
from charter.judging.pairs import LabelledPair
from charter.records import Abstention, Comparison, Verdict

from .conftest import comparison

ASKED = [("kind", 1.0)]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


class Skewed:
    """Knows each pair's true log-odds, triples them, and adds a taste for the first place."""

    identity = "skewed@1"

    def __init__(self, bias: float = 0.0) -> None:
        self.bias = bias

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        return [[self._one(c) for _ in ids] for c, ids in zip(comparisons, principles, strict=True)]

    def _one(self, c: Comparison) -> float | Abstention:
        if c.a == c.b:
            return Abstention(c.id, "same", self.identity)
        return sigmoid(3 * (float(c.a) - float(c.b)) + self.bias)


def pairs(count: int = 1500) -> list[LabelledPair]:
    source = random.Random(0)
    found = []
    for i in range(count):
        a, b = source.gauss(0, 1), source.gauss(0, 1)
        won = float(source.random() < sigmoid(a - b))
        found.append(LabelledPair(comparison(f"c{i}", f"{a:.6f}", f"{b:.6f}"), won))
    return found


def test_platt_recovers_slope_and_bias() -> None:
    source = np.random.default_rng(0)
    z = source.normal(0, 2, 20_000)
    y = (source.random(20_000) < 1 / (1 + np.exp(-(0.5 * z - 0.7)))).astype(float)
    slope, bias = fit_platt(z.tolist(), y.tolist())
    assert (slope, bias) == (pytest.approx(0.5, abs=0.03), pytest.approx(-0.7, abs=0.05))


def test_platt_stays_finite_on_data_that_a_threshold_separates() -> None:
    slope, bias = fit_platt([-2.0, -1.0, 1.0, 2.0] * 5, [0.0, 0.0, 1.0, 1.0] * 5)
    assert 0 < slope < 20 and abs(bias) < 0.1


def test_a_temperature_is_recovered_and_improves_every_figure() -> None:
    found = calibrate(Skewed(), pairs(), ASKED)
    assert 1 / found.slope == pytest.approx(3.0, rel=0.15) and found.bias == 0.0
    for figure in ("brier", "nll", "ece"):
        assert found.after[figure] < found.before[figure]
    assert found.before["ece"] > 0.1 > found.after["ece"]
    assert found.after["accuracy"] == found.before["accuracy"]


def test_platt_undoes_a_taste_for_a_place() -> None:
    judge = Skewed(bias=2.0)
    found = calibrate(judge, pairs(), ASKED, method="platt")
    assert found.slope == pytest.approx(1 / 3, rel=0.15)
    assert found.bias == pytest.approx(-2 / 3, rel=0.15)
    [verdict] = label(CalibratedJudge(judge, found), [comparison("c", "1.0", "0.0")], [ASKED])
    assert isinstance(verdict, Verdict)
    assert verdict.votes[0].p_as_given == pytest.approx(verdict.votes[0].p_swapped, abs=0.05)


def test_abstentions_are_counted_and_stay() -> None:
    given = [*pairs(100), LabelledPair(comparison("same", "1.0", "1.0"), 1.0)]
    found = calibrate(Skewed(), given, ASKED)
    assert (found.pairs, found.unscored) == (100, 1)
    [[answer]] = CalibratedJudge(Skewed(), found).vote([given[-1].comparison], [["kind"]])
    assert isinstance(answer, Abstention) and answer.reason == "same"


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(InputError, match="3 of 3 pairs"):
        calibrate(Skewed(), pairs(3), ASKED)


def test_it_is_saved_loaded_and_held_to_its_judge(tmp_path: Path) -> None:
    found = calibrate(Skewed(), pairs(100), ASKED)
    found.save(tmp_path / "calibration.json")
    loaded = load_calibration(tmp_path / "calibration.json", "skewed@1")
    assert (loaded.slope, loaded.bias, loaded.pairs) == (found.slope, found.bias, 100)
    assert loaded.bins and loaded.bins == found.bins
    with pytest.raises(DataError, match=r"fitted to skewed@1, not to other@1"):
        load_calibration(tmp_path / "calibration.json", "other@1")
    with pytest.raises(DataError, match="no calibration"):
        load_calibration(tmp_path / "nothing.json", "skewed@1")


def test_the_judges_digest_stays_last() -> None:
    """The evaluation refuses a scorer with a judge's digest: calibration must not hide it."""
    found = calibrate(Skewed(), pairs(100), ASKED)
    identity = CalibratedJudge(Skewed(), found).identity
    assert identity != "skewed@1" and identity.rpartition("@")[2] == "1"
