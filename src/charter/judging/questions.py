"""Comparison questions from which a readout judge learns to read a principle.

Owns the table of questions (which axis each is about, and which way it points) and the ridge
regression from a question's features to coefficients over the axes. An axis that no question is
about counts the same under every principle.

Shape suffixes: Q questions, E features of a question, K axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from sklearn.linear_model import Ridge

from charter import yaml_tree
from charter.errors import DataError
from charter.judging.readout_judge import question_features
from charter.readout.features import FeatureReader
from charter.records import Record

PENALTY = 1e3
"""Of the ridge regression; chosen on the development files, see docs/log.md."""
_FOLDS = 5


class Ways(Record, frozen=True):
    """Questions about one axis: `for` its good end, and `against` it."""

    towards: list[str] = msgspec.field(name="for")
    against: list[str]


Table = Mapping[str, Ways]


@dataclass(frozen=True, slots=True)
class QuestionReadout:
    """Coefficients of a question over the axes: features_E @ weights_KE.T + bias_K.

    `held_out_QK` are those of the table's own questions, each by a fit that has seen neither it nor
    its opposite, in the table's order: of every axis first the questions for, then those against.
    """

    weights_KE: np.ndarray
    bias_K: np.ndarray
    figures: dict[str, Any]
    held_out_QK: np.ndarray


def shipped_questions() -> Table:
    """The table that ships with the package: axes `harmless` and `helpful`."""
    file = resources.files("charter.judging") / "library" / "questions.yaml"
    return parse(file.read_text(encoding="utf-8"), file=file.name)


def load(path: str | Path) -> Table:
    """A table of one's own: `{AXIS: {for: [question, …], against: [question, …]}}` in YAML.

    Raises:
        DataError: it cannot be read, or is not of that shape.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("cannot be read", file=path, expected="a YAML file") from error
    return parse(text, file=str(path))


def parse(text: str, *, file: str) -> Table:
    """A table from YAML text; `file` is the name used in errors."""
    expected = "AXIS: {for: [question, …], against: [question, …]}"
    tree = yaml_tree.parse(text, file=file, kind=DataError)
    try:
        table = msgspec.convert(tree, dict[str, Ways])
    except msgspec.ValidationError as error:
        raise DataError(str(error), file=file, expected=expected) from error
    for axis, ways in table.items():
        if not ways.towards or not ways.against:
            line = yaml_tree.line_of(tree, [axis])
            raise DataError("has no questions", file=file, line=line, field=axis, expected=expected)
    return table


def fit_questions(reader: FeatureReader, table: Table, axes: Sequence[str]) -> QuestionReadout:
    """Readout from a question's features to coefficients over `axes`.

    `figures` says how often the sign of a question was read rightly in 5-fold cross-validation.
    """
    asked = {axis: ways for axis, ways in table.items() if axis in axes}
    if not asked:
        none = np.zeros((0, len(axes)))
        return QuestionReadout(
            np.zeros((len(axes), reader.width)), np.ones(len(axes)), {"n": 0}, none
        )
    texts, targets, numbers = _rows(asked, axes)
    x, y = question_features(reader, texts), np.array(targets)
    # A question and its opposite stand at the same place of their lists, and in the same fold:
    # otherwise the nearest question trained on would be the one that means the contrary.
    folds = np.array(numbers) % _FOLDS
    guessed = np.zeros_like(y)
    for fold in set(folds.tolist()) if len(set(folds.tolist())) > 1 else ():
        weights, bias = _ridge(x[folds != fold], y[folds != fold])
        guessed[folds == fold] = x[folds == fold] @ weights.T + bias
    own = np.array([axes.index(axis) for axis in _axes_of(asked)])
    rows = np.arange(len(y))
    right = np.sign(guessed[rows, own]) == np.sign(y[rows, own])
    weights, bias = _ridge(x, y)
    figures = {"n": len(texts), "sign_right_5_fold": float(right.mean())}
    return QuestionReadout(weights, bias, figures, guessed)


def _rows(table: Table, axes: Sequence[str]) -> tuple[list[str], list[list[float]], list[int]]:
    texts, targets, numbers = [], [], []
    for axis, ways in table.items():
        for sign, questions in ((1.0, ways.towards), (-1.0, ways.against)):
            for number, text in enumerate(questions):
                texts.append(text)
                numbers.append(number)
                targets.append([_target(other, axis, sign, table) for other in axes])
    return texts, targets, numbers


def _axes_of(table: Table) -> list[str]:
    return [axis for axis, w in table.items() for _ in (*w.towards, *w.against)]


def _target(axis: str, asked: str, sign: float, table: Table) -> float:
    if axis not in table:  # it counts whatever is asked
        return 1.0
    return sign if axis == asked else 0.0


def _ridge(x_QE: np.ndarray, y_QK: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    centre, scale = x_QE.mean(0), x_QE.std(0) + 1e-6
    model = Ridge(alpha=PENALTY).fit((x_QE - centre) / scale, y_QK)
    # With one axis scikit-learn gives a vector.
    weights = np.asarray(np.atleast_2d(model.coef_) / scale, dtype=np.float32)
    bias = np.atleast_1d(model.intercept_) - weights @ centre
    return weights, np.asarray(bias, dtype=np.float32)
