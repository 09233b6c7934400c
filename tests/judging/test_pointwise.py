"""Yes or no for each answer by itself, and the difference of the logits."""

from __future__ import annotations

import pytest

from charter.judging.answerwise import AnswerwiseJudge
from charter.judging.labeling import label
from charter.judging.pointwise import YesNoReader
from charter.records import Abstention, Verdict

from .conftest import TEXTS, Chooser, comparison, planted


def by_word(text: str, suffix: str) -> tuple[float, float]:
    return (0.6, 0.2) if ("good" in text) != ("unkind" in suffix) else (0.2, 0.6)


def judge(model: Chooser) -> AnswerwiseJudge:
    return AnswerwiseJudge(YesNoReader(model, TEXTS))


def test_the_difference_of_logits_decides() -> None:
    [[kind, unkind]] = judge(Chooser(by_word)).vote(
        [comparison("c", "good", "bad")], [["kind", "unkind"]]
    )
    # Odds of 3 for one answer and 1/3 for the other: 9 to 1.
    assert kind == pytest.approx(0.9)
    assert unkind == pytest.approx(0.1)


def test_a_planted_preference_comes_out_on_either_side() -> None:
    pairs, sides = planted()
    labels = label(judge(Chooser(by_word)), pairs, [[("kind", 1.0)]] * len(pairs))
    assert [isinstance(f, Verdict) and f.p_a > 0.5 for f in labels] == sides


def test_an_answer_off_the_menu_silences_the_pair() -> None:
    model = Chooser(lambda text, _: (0.0, 0.0) if "bad" in text else (0.5, 0.1))
    [found] = label(judge(model), [comparison("c", "good", "bad")], [[("kind", 1.0)]])
    assert isinstance(found, Abstention) and found.reason == "off_menu"


def test_an_empty_answer_is_not_asked_about() -> None:
    model = Chooser(by_word)
    [found] = label(judge(model), [comparison("c", "good", " ")], [[("kind", 1.0)]])
    assert isinstance(found, Abstention) and found.reason == "empty_answer"
    assert len(model.prefixes) == 1


def test_certainty_on_both_sides_stays_finite() -> None:
    model = Chooser(lambda text, _: (1.0, 0.0) if "good" in text else (0.0, 1.0))
    [[p]] = judge(model).vote([comparison("c", "good", "bad")], [["kind"]])
    assert isinstance(p, float) and 0.999 < p <= 1.0
