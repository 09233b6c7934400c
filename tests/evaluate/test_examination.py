from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from charter.errors import InputError
from charter.evaluate.examination import examine, figures
from charter.evaluate.labelled import LabelledAnswer, LabelledFile
from charter.records import Message, Prompt

from .conftest import PlantedScorer


def file(rows: list[tuple[str, str, bool]]) -> LabelledFile:
    answers = tuple(
        LabelledAnswer(Prompt(q, (Message("user", q),)), text, yes) for q, text, yes in rows
    )
    return LabelledFile(answers, {"1": 1, "0": 1}, ("1",), {})


ROWS = [(f"q{i}", f"{'sure' if i % 3 else 'never'} number {i}", i % 3 > 0) for i in range(90)]


def test_a_scorer_that_knows_is_always_right() -> None:
    found = examine(PlantedScorer("s@1", lambda t: float("sure" in t)), file(ROWS))
    assert found.accuracy.value == found.auroc.value == 1.0
    assert found.sensitivity.n == 60 and found.specificity.n == 30 and found.n == 90
    # The wording gives it away, so the bag of words knows as well.
    assert found.bag_of_words is not None and found.bag_of_words.accuracy.value == 1.0


def test_the_four_figures_are_counted_by_hand() -> None:
    readings = np.array([0.9, 0.6, 0.4, 0.2, 0.7])
    labels = np.array([1, 1, 1, 0, 0])
    found = figures(readings, labels, list("abcde"), threshold=0.5)
    assert found.accuracy.value == pytest.approx(3 / 5)
    assert found.sensitivity.value == pytest.approx(2 / 3)
    assert found.specificity.value == pytest.approx(1 / 2)
    assert found.auroc.value == pytest.approx(roc_auc_score(labels, readings))
    for rate in (found.accuracy, found.sensitivity, found.specificity, found.auroc):
        assert rate.low <= rate.value <= rate.high and rate.high - rate.low > 0.1


def test_a_reading_at_the_threshold_says_yes() -> None:
    found = figures(np.array([0.5, 0.4]), np.array([1, 0]), ["a", "b"], threshold=0.5)
    assert found.accuracy.value == 1.0


def test_answers_to_one_prompt_tell_less_than_answers_to_many() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 120)
    right = np.repeat(rng.random(12) < 0.8, 10)
    readings = np.where(right, labels, 1 - labels).astype(float)
    apart = figures(readings, labels, [str(i) for i in range(120)], threshold=0.5).accuracy
    together = figures(readings, labels, [str(i // 10) for i in range(120)], threshold=0.5)
    assert together.accuracy.value == apart.value
    assert together.accuracy.high - together.accuracy.low > 1.5 * (apart.high - apart.low)


def test_the_unscored_are_counted_and_left_out() -> None:
    scorer = PlantedScorer("s@1", lambda t: None if t.endswith("7") else float("sure" in t))
    found = examine(scorer, file(ROWS))
    assert (found.n, found.unscored) == (81, 9)
    assert found.unscored_reasons == {"unscored": 9} and found.accuracy.n == 81


def test_few_answers_train_no_bag_of_words() -> None:
    found = examine(PlantedScorer("s@1", lambda t: float("sure" in t)), file(ROWS[:49]))
    assert found.bag_of_words is None


def test_one_sided_answers_are_refused() -> None:
    scorer = PlantedScorer("s@1", lambda t: 1.0 if "sure" in t else None)
    with pytest.raises(InputError, match="all labels are the same"):
        examine(scorer, file(ROWS))
