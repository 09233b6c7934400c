"""Sampled verdicts: which letter a text ends up with, and what becomes of texts without one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from charter.judging.labeling import label
from charter.judging.votes import VotesJudge, verdict_of
from charter.records import Abstention, Completion, Request, Verdict

from .conftest import QUESTIONS, Chooser, comparison, good_first, planted

Write = Callable[[Request], str | Completion]


def judge(write: Write, samples: int = 4) -> tuple[VotesJudge, Chooser]:
    model = Chooser(lambda *_: (0.5, 0.5), write)
    return VotesJudge(model, QUESTIONS, samples=samples), model


def for_good(request: Request) -> str:
    return f"Reasons.\nVerdict: {'A' if good_first(request.messages[-1].content) else 'B'}"


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("Verdict: A", "A"),
        ("It is warmer.\n\n**Verdict:** B", "B"),
        ("verdict: (b).", "B"),
        ("My verdict is A.", "A"),
        ("A", "A"),
        ("(B).", "B"),
        ("Verdict: A\nOn second thought, the other one.\nVerdict: B", "B"),
        ('The first answer says "Verdict: A", which is no argument.\nVerdict: B', "B"),
        ("<think>Verdict: A? No.</think>Verdict: B", "B"),
        ("<think>Verdict: A", ""),
        ('Shall I write "Verdict: A" or "Verdict: B"?', "B"),
        ("Both are fine.", ""),
        ("Answer A is longer.", ""),
        ("Verdict: neither", ""),
        ("Verdict: C", ""),
        ("Verdict: A or B", ""),
        ("A better answer would be shorter.", ""),
        ("Verdict: Absolutely the second", ""),
        ("", ""),
    ],
)
def test_the_last_statement_of_a_verdict_counts(text: str, letter: str) -> None:
    assert verdict_of(Completion(text, 5, "stop")) == letter


def test_a_text_that_was_cut_short_has_no_verdict() -> None:
    assert verdict_of(Completion("Verdict: A", 5, "length")) == ""


def test_the_share_is_smoothed() -> None:
    found, _ = judge(lambda _: "Verdict: A")
    [[p]] = found.vote([comparison("c", "x", "y")], [["kind"]])
    assert p == pytest.approx(5 / 6)


def test_a_planted_preference_comes_out_on_either_side() -> None:
    pairs, sides = planted()
    labels = label(judge(for_good)[0], pairs, [[("kind", 1.0)]] * len(pairs))
    assert [isinstance(f, Verdict) and f.p_a > 0.5 for f in labels] == sides


def test_samples_have_seeds_of_their_own() -> None:
    found, model = judge(for_good)
    pair = comparison("c", "good", "bad")
    found.vote([pair, pair.swap()], [["kind", "unkind"]] * 2)
    assert len({request.seed for request in model.requests}) == 16


def sequence(*texts: str | Completion) -> Write:
    left = list(texts)
    return lambda _: left.pop(0)


def test_off_menu_samples_are_counted_and_not_votes() -> None:
    found, _ = judge(sequence(*["Verdict: A", "Verdict: A", "Hm.", "Verdict: A"] * 2))
    [verdict] = label(found, [comparison("c", "x", "y")], [[("kind", 1.0)]])
    assert isinstance(verdict, Verdict)
    assert verdict.votes[0].p_as_given == pytest.approx(4 / 5)
    assert verdict.votes[0].unread == 2
    assert verdict.tokens == 56


def test_without_a_majority_of_readable_samples_it_abstains() -> None:
    found, _ = judge(sequence("Verdict: A", "Hm.", "Hm.", "Verdict: A"))
    [[abstention]] = found.vote([comparison("c", "x", "y")], [["kind"]])
    assert isinstance(abstention, Abstention)
    assert (abstention.reason, abstention.detail) == (
        "off_menu", "2 of 4 samples name no answer",
    )  # fmt: skip


def test_an_endpoint_that_is_down_gives_its_own_reason() -> None:
    found, _ = judge(lambda _: Completion("", 0, "error", "rate_limited"))
    [[abstention]] = found.vote([comparison("c", "x", "y")], [["kind"]])
    assert isinstance(abstention, Abstention) and abstention.reason == "rate_limited"
