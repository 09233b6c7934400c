"""Reading a principle: the table of questions, and the regression from wording to axes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from charter.errors import DataError
from charter.judging import questions
from charter.judging.questions import Ways, fit_questions, shipped_questions
from charter.readout.features import FeatureReader

WORDS = ("calm", "brief", "more", "less")
TABLE = {
    axis: Ways([f"more {axis} {'x' * n}" for n in range(10)], [f"less {axis}" for _ in range(10)])
    for axis in ("calm", "brief")
}


class Words:
    """Features of a question: which of a few words it holds, alone and together."""

    width = 8
    model = SimpleNamespace(identity="words")

    def read(self, exchanges: Any) -> np.ndarray:
        rows = []
        for _, text in exchanges:
            has = [float(word in text) for word in WORDS]
            rows.append([*has, *(a * m for a in has[:2] for m in has[2:])])
        # Strong features, so that the ridge penalty hardly counts.
        return np.array(rows)


READER = cast(FeatureReader, Words())


@pytest.fixture(autouse=True)
def weak_penalty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "PENALTY", 1e-3)


def coefficients(found: questions.QuestionReadout, text: str) -> list[float]:
    x = READER.read([((), text)])
    return [float(v) for v in (x @ found.weights_KE.T + found.bias_K)[0]]


def test_axis_and_direction_are_read_from_the_wording() -> None:
    found = fit_questions(READER, TABLE, ["calm", "brief"])
    assert coefficients(found, "more calm") == pytest.approx([1, 0], abs=0.05)
    assert coefficients(found, "less brief") == pytest.approx([0, -1], abs=0.05)
    assert found.figures == {"n": 40, "sign_right_5_fold": 1.0}
    # Ten questions for and ten against, an axis at a time; each read by a fit without it.
    calm, brief = found.held_out_QK[:20], found.held_out_QK[20:]
    assert np.sign(calm[:, 0]).tolist() == np.sign(brief[:, 1]).tolist() == [1.0] * 10 + [-1.0] * 10
    assert np.abs(np.concatenate([calm[:, 1], brief[:, 0]])).max() < 0.1


def test_an_axis_without_questions_counts_whatever_is_asked() -> None:
    found = fit_questions(READER, TABLE, ["preferred", "calm"])
    assert coefficients(found, "less calm") == pytest.approx([1, -1], abs=0.05)
    assert found.figures["n"] == 20
    alone = fit_questions(READER, {}, ["preferred"])
    assert coefficients(alone, "less calm") == [1.0] and alone.figures == {"n": 0}


def test_the_shipped_table() -> None:
    table = shipped_questions()
    assert set(table) == {"harmless", "helpful"}
    assert all(len(w.towards) == len(w.against) > 20 for w in table.values())


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("- a", "mapping"),
        ("calm: {for: [a]}", "against"),
        ("calm: {for: [a], against: []}", "calm"),
    ],
)
def test_a_bad_table_is_named(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "questions.yaml"
    file.write_text(text)
    with pytest.raises(DataError, match=word) as caught:
        questions.load(file)
    assert caught.value.file == str(file)
    with pytest.raises(DataError, match="cannot be read"):
        questions.load(tmp_path / "absent.yaml")
