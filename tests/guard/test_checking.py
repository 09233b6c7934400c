from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.errors import ModelError
from charter.guard.checking import AnswerChecks, TextCheck
from charter.guard.decision import Thresholds
from charter.guard.dialect import Event, Piece


class Scripted:
    """Gives scores in order, then 0."""

    conversation_score = 0.0
    clauses = ("a", "b")

    def __init__(self, *scores: float) -> None:
        self.scores, self.feeds = list(scores), list[str]()

    def feed(self, text: str) -> float:
        self.feeds.append(text)
        return self.scores.pop(0) if self.scores else 0.0


def check(*scores: float, window: int = 4, enforce: bool = True) -> TextCheck:
    return TextCheck(
        Scripted(*scores), window, Thresholds(answer=0.7, escalate=0.4), enforce=enforce
    )


@given(st.lists(st.text(max_size=9), max_size=6))
def test_windows_depend_on_the_text_alone(parts: list[str]) -> None:
    pieces, whole = check(), check()
    ends = [pieces.push(part) for part in parts]
    whole.push("".join(parts))
    pieces.settle()
    whole.settle()
    assert pieces.stream.feeds == whole.stream.feeds
    assert pieces.sha256 == hashlib.sha256("".join(parts).encode()).hexdigest() == whole.sha256
    assert not ends or ends[-1] == pieces.checked == len("".join(parts))


def test_nothing_counts_as_checked_from_the_blocked_window_on() -> None:
    made = check(0.1, 0.7)
    assert made.push("aaaabbbbcccc") == 12
    assert (made.checked, made.stopped, made.stream.feeds) == (4, True, ["aaaa", "bbbb"])
    assert made.top is not None
    assert (made.top.action, made.top.score, made.top.clauses) == ("block", 0.7, ("a", "b"))


def test_in_shadow_the_highest_score_is_kept_and_scoring_goes_on() -> None:
    made = check(0.1, 0.8, 0.75, 0.2, enforce=False)
    made.push("aaaabbbbccccdddd")
    assert (made.checked, made.stopped, made.blocked) == (16, False, True)
    assert made.top is not None and made.top.score == 0.8


def test_an_escalation_lets_the_text_pass() -> None:
    made = check(0.5)
    made.push("aaaa")
    assert made.top is not None and (made.top.action, made.checked) == ("escalate", 4)


@pytest.mark.parametrize("score", [float("nan"), -0.1, 1.1])
def test_a_score_out_of_range_is_an_error(score: float) -> None:
    with pytest.raises(ModelError, match=r"not a number in \[0, 1\]"):
        check(score).push("aaaa")


def test_halves_of_a_pair_are_joined_and_lone_ones_replaced() -> None:
    made = check()
    assert made.push("ab\ud83e") == 3
    assert made.push("\udd56c") == 4
    assert made.push("\ud83e") == 5
    made.settle()
    assert made.stream.feeds == ["ab\U0001f956c", "\ufffd"]
    assert made.checked == 5


def test_a_choice_that_goes_over_to_another_text_is_scored_to_its_end() -> None:
    streams: list[Scripted] = []

    def new() -> TextCheck:
        streams.append(Scripted())
        return TextCheck(streams[-1], 4, Thresholds())

    checks = AnswerChecks(new)
    pieces = (Piece(0, ("a",), "aa"), Piece(1, ("a",), "x"), Piece(0, ("b",), "b"))
    spans = checks.score([Event(b"", {}, pieces, (0, 1))])[0]
    assert [span.unchecked for span in spans] == [0, 1, 1]
    checks.score([Event(b"", {}, last=True)])
    assert [span.unchecked for span in spans] == [0, 0, 0]
    assert [stream.feeds for stream in streams] == [["aa"], ["x"], ["b"]]
