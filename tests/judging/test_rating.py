"""Ratings: the expectation over ten numbers, as a reward and as a pairwise judge."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from charter.judging.answerwise import AnswerwiseJudge
from charter.judging.labeling import label
from charter.judging.rating import SCALE, Rater, RatingScorer, rescaled
from charter.records import Judge, Message, Prompt, Scorer, Verdict

from .conftest import TEXTS, Chooser, comparison, planted

PROMPT = Prompt("p", (Message("user", "hello"),))


def certain(grade: int) -> list[float]:
    return [float(i == grade) for i in range(1, 11)]


def by_word(text: str, suffix: str) -> Sequence[float]:
    return certain(10 if ("good" in text) != ("unkind" in suffix) else 1)


def scorer(model: Chooser, *principles: tuple[str, float]) -> RatingScorer:
    return RatingScorer(Rater(model, TEXTS), principles or (("kind", 1.0),))


def score(model: Chooser, answer: str = "text", *principles: tuple[str, float]) -> float | None:
    return scorer(model, *principles).score([(PROMPT, answer)])[0].value


@pytest.mark.parametrize("grade", [1, 5, 9, 10])
def test_a_certain_grade_is_that_grade_ten_included(grade: int) -> None:
    assert score(Chooser(lambda *_: certain(grade))) == pytest.approx((grade - 5.5) / 4.5)


def test_the_ends_of_the_scale_are_plus_and_minus_one() -> None:
    assert (rescaled(1), rescaled(10), rescaled(5.5)) == (-1.0, 1.0, 0.0)


def test_the_rating_is_an_expectation_normalised_over_the_menu() -> None:
    shares = [0.0] * 10
    shares[1], shares[9] = 0.3, 0.1  # 2 and 10; the rest of the probability is elsewhere
    assert score(Chooser(lambda *_: shares)) == pytest.approx(rescaled((3 * 2 + 10) / 4))


def test_all_ten_numbers_are_offered() -> None:
    model = Chooser(lambda *_: certain(3))
    score(model)
    assert model.options == [SCALE] == [tuple(["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"])]


def test_a_model_that_cannot_tell_ten_from_one_gives_no_rating() -> None:
    """First tokens only: "10" was given the number of "1"."""
    shares = [0.2, *[0.05] * 8, 0.2]
    [found] = scorer(Chooser(lambda *_: shares)).score([(PROMPT, "text")])
    assert (found.value, found.reason) == (None, "indistinct_options")


def test_off_menu_and_empty_are_unscored() -> None:
    model = Chooser(lambda *_: [0.001] * 10)
    found = scorer(model).score([(PROMPT, "text"), (PROMPT, "  ")])
    assert [(s.value, s.reason) for s in found] == [(None, "off_menu"), (None, "empty_answer")]
    assert isinstance(scorer(model), Scorer)


def test_a_score_over_principles_is_their_weighted_mean() -> None:
    both = (("kind", 3.0), ("unkind", 1.0))
    assert score(Chooser(by_word), "good", *both) == pytest.approx((3 - 1) / 4)


def test_a_principle_without_a_rating_is_left_out_of_the_mean() -> None:
    def half(_: str, suffix: str) -> Sequence[float]:
        return [0.0001] * 10 if "unkind" in suffix else certain(10)

    assert score(Chooser(half), "text", ("kind", 1.0), ("unkind", 9.0)) == 1.0


def test_the_pairwise_judge_finds_the_planted_preference_and_position_cannot_matter() -> None:
    pairs, sides = planted()
    judge = AnswerwiseJudge(Rater(Chooser(by_word), TEXTS))
    assert isinstance(judge, Judge)
    labels = label(judge, pairs, [[("kind", 1.0)]] * len(pairs))
    expected = 1 / (1 + math.exp(-2))  # ratings of 1 and -1
    for found, first in zip(labels, sides, strict=True):
        assert isinstance(found, Verdict)
        assert found.p_a == pytest.approx(expected if first else 1 - expected)
        assert found.votes[0].p_as_given == pytest.approx(found.votes[0].p_swapped)


def test_every_answer_is_asked_about_once() -> None:
    model = Chooser(by_word)
    label(AnswerwiseJudge(Rater(model, TEXTS)), [comparison("c", "good", "bad")], [[("kind", 1.0)]])
    assert len(model.prefixes) == 2


def test_the_temperature_divides_the_difference() -> None:
    judge = AnswerwiseJudge(Rater(Chooser(by_word), TEXTS), temperature=0.5)
    [[p]] = judge.vote([comparison("c", "good", "bad")], [["kind"]])
    assert p == pytest.approx(1 / (1 + math.exp(-4)))
    assert judge.identity != AnswerwiseJudge(judge.reader).identity
