"""The chain-of-thought judge with a scripted model: rationale first, then the options, clamped."""

from __future__ import annotations

import pytest

from charter.judging.chain_of_thought import ChainOfThoughtJudge
from charter.judging.labeling import label
from charter.judging.reading import DetailedJudge
from charter.records import Abstention, Completion, Judge, Request, Verdict

from .conftest import QUESTIONS, Chooser, comparison, planted, prefers_good

ASKED = [("kind", 1.0)]


def test_a_planted_preference_comes_out_on_either_side() -> None:
    pairs, sides = planted()
    judge = ChainOfThoughtJudge(Chooser(prefers_good), QUESTIONS)
    assert isinstance(judge, Judge) and isinstance(judge, DetailedJudge)
    labels = label(judge, pairs, [ASKED] * len(pairs))
    assert [found.p_a for found in labels if isinstance(found, Verdict)] == [
        pytest.approx(0.6 if first else 0.4) for first in sides
    ]


@pytest.mark.parametrize(("clamp", "expected"), [((0.2, 0.7), 0.7), (None, 0.9)])
def test_the_clamp_is_a_setting(clamp: tuple[float, float] | None, expected: float) -> None:
    judge = ChainOfThoughtJudge(Chooser(prefers_good), QUESTIONS, clamp=clamp)
    [[p]] = judge.vote([comparison("c", "good", "bad")], [["kind"]])
    assert p == pytest.approx(expected)


def test_a_reading_inside_the_clamp_is_left_alone() -> None:
    model = Chooser(lambda *_: (0.11, 0.09))
    [[p]] = ChainOfThoughtJudge(model, QUESTIONS).vote([comparison("c", "x", "y")], [["kind"]])
    assert p == pytest.approx(0.55)


def test_the_options_are_read_after_the_rationale() -> None:
    model = Chooser(prefers_good, lambda _: "  The first one is warm.  ")
    judge = ChainOfThoughtJudge(model, QUESTIONS)
    judge.vote([comparison("c", "good", "bad")], [["kind", "unkind"]])
    assert [m.role for m in model.prefixes[0]] == ["user", "assistant", "user"]
    assert model.prefixes[0][1].content == "The first one is warm."
    assert len(model.requests) == 2
    assert QUESTIONS["kind"] in model.requests[0].messages[-1].content
    assert QUESTIONS["kind"] not in model.requests[1].messages[-1].content


def test_seeds_differ_by_order_and_principle_and_repeat() -> None:
    def seeds() -> list[int]:
        model, pair = Chooser(prefers_good), comparison("c", "good", "bad")
        judge = ChainOfThoughtJudge(model, QUESTIONS)
        judge.vote([pair, pair.swap()], [["kind", "unkind"]] * 2)
        return [request.seed for request in model.requests]

    assert len(set(seeds())) == 4
    assert seeds() == seeds()


def test_an_empty_rationale_and_a_failed_call_are_abstentions() -> None:
    def write(request: Request) -> str | Completion:
        empty = "first" in request.messages[0].content
        return "  " if empty else Completion("", 0, "error", "timeout")

    judge = ChainOfThoughtJudge(Chooser(prefers_good, write), QUESTIONS)
    pairs = [comparison("c0", "good", "bad", "first"), comparison("c1", "good", "bad", "second")]
    found = label(judge, pairs, [ASKED] * 2)
    assert [f.reason for f in found if isinstance(f, Abstention)] == ["empty_rationale", "timeout"]


def test_off_menu_after_a_rationale_is_an_abstention() -> None:
    judge = ChainOfThoughtJudge(Chooser(lambda *_: (0.001, 0.002)), QUESTIONS)
    [found] = label(judge, [comparison("c", "good", "bad")], [ASKED])
    assert isinstance(found, Abstention) and found.reason == "off_menu"


def test_tokens_of_both_rationales_stand_in_the_verdict() -> None:
    judge = ChainOfThoughtJudge(Chooser(prefers_good), QUESTIONS)
    [found] = label(judge, [comparison("c", "good", "bad")], [ASKED])
    assert isinstance(found, Verdict) and found.tokens == 14


def test_settings_are_part_of_the_identity() -> None:
    model = Chooser(prefers_good)
    settings = [
        {},
        {"clamp": None},
        {"seed": 1},
        {"shots": 2},
        {"format": "bai"},
        {"min_mass": 0.1},
    ]
    found = {ChainOfThoughtJudge(model, QUESTIONS, **s).identity for s in settings}  # type: ignore[arg-type]
    assert len(found) == len(settings)
