"""The preference model's figures and the curves of everything that was trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from charter.report.exhibit import Exhibit, curve, drawn
from charter.report.figures import NOTHING, Shown, count, number_in, rate_in, shown_rate
from charter.report.files import RunFiles, StageFiles
from charter.report.labels import facts
from charter.report.metrics import stage_name
from charter.report.reliability import reliability_of

TRAINED = ("sft", "preference", "rl", "preference_rlhf", "rl_rlhf")
_MOST_POINTS = 1200
_MOST_CURVES = 6
_AXIS = "step"
_FIRST = ("loss", "reward", "kl", "accuracy", "margin")
"""Curves shown first; the others follow in the order of the file."""


@dataclass(frozen=True, slots=True)
class Training:
    """One trained stage: its curves and what it noted."""

    name: str
    curves: list[Exhibit]
    facts: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class PreferenceModel:
    """The preference model on pairs it was not trained on."""

    accuracy: Shown
    ece: str
    brier: str
    train_pairs: str
    unscored: int
    reliability: Exhibit | None


class Columns:
    """The numeric columns of a curve, thinned evenly as they stream by."""

    def __init__(self, most: int = _MOST_POINTS) -> None:
        self.most, self.stride, self._seen = most, 1, 0
        self._rows: list[dict[str, float]] = []

    def add(self, row: Mapping[str, Any]) -> None:
        """Take every `stride`-th row; once there are too many, every other one goes."""
        if self._seen % self.stride == 0:
            self._rows.append(_numbers(row, self._seen))
        self._seen += 1
        if len(self._rows) > self.most:
            self._rows, self.stride = self._rows[::2], self.stride * 2

    def curves(self) -> dict[str, list[tuple[float, float]]]:
        """Column → (step, value) points. Columns that never change say nothing and are left out."""
        names = dict.fromkeys(name for row in self._rows for name in row if name != _AXIS)
        found = {n: [(r[_AXIS], r[n]) for r in self._rows if n in r] for n in names}
        return {n: p for n, p in found.items() if len({y for _, y in p}) > 1 or n == "loss"}


def trainings(files: RunFiles) -> list[Training]:
    """Every training that left a curve."""
    found = (_training(files.stage(name)) for name in TRAINED)
    return [training for training in found if training.curves]


def preference_model(stage: StageFiles) -> PreferenceModel | None:
    """The section, or None before the stage has finished."""
    held_out = stage.notes.get("held_out")
    if not isinstance(held_out, Mapping):
        return None
    return PreferenceModel(
        shown_rate(rate_in(held_out.get("accuracy"))),
        _decimal(held_out, "ece"),
        _decimal(held_out, "brier"),
        count(int(number_in(stage.notes, "train_pairs") or 0)),
        int(number_in(held_out, "unscored") or 0),
        reliability_of(
            held_out.get("calibration"), "confidence of the model", "agreement with the label"
        ),
    )


def _training(stage: StageFiles) -> Training:
    columns = Columns()
    for row in stage.curve():
        columns.add(row)
    curves = columns.curves()
    order = sorted(curves, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
    shown = drawn(curve(stage.name, curves[n], "step", n) for n in order[:_MOST_CURVES])
    return Training(stage_name(stage.name), shown, facts(stage.notes))


def _numbers(row: Mapping[str, Any], number: int) -> dict[str, float]:
    numbers = {k: float(v) for k, v in row.items() if isinstance(v, int | float)}
    return {_AXIS: float(number), **numbers}


def _decimal(notes: Mapping[str, Any], name: str) -> str:
    value = number_in(notes, name)
    return NOTHING if value is None else f"{value:.3f}"
