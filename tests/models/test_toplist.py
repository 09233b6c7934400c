"""Likelihoods of options off lists of likely tokens: what they say, and what they cannot."""

from __future__ import annotations

import math

import pytest

from charter.models.toplist import NEVER, Position, depth, option_logprobs


def place(written: str = "A", **top: float) -> Position:
    """One place; probabilities by token, `_` standing for a space."""
    return Position(written, [(t.replace("_", " "), math.log(p)) for t, p in top.items()])


def probabilities(answer: list[Position], *options: str) -> list[float]:
    return [math.exp(p) for p in option_logprobs(answer, options)]


def test_options_have_what_the_list_says() -> None:
    found = probabilities([place(A=0.6, B=0.3, The=0.05)], "A", "B")
    assert found == pytest.approx([0.6, 0.3])


def test_spellings_with_a_space_add_up() -> None:
    assert probabilities([place(A=0.4, _A=0.2, B=0.1)], "A", "B") == pytest.approx([0.6, 0.1])


def test_an_option_that_is_not_listed_has_at_most_what_is_left() -> None:
    assert probabilities([place(A=0.90, x=0.06)], "A", "B") == pytest.approx([0.90, 0.04])
    assert probabilities([place(A=0.50, x=0.02)], "A", "B") == pytest.approx([0.50, 0.02])


def test_no_option_listed_is_never_and_no_tie() -> None:
    assert option_logprobs([place(x=0.5, y=0.4)], ["A", "B"]) == [NEVER, NEVER]


def test_a_beginning_that_fits_one_option_only_means_it() -> None:
    found = probabilities([place(**{"Yes": 0.5, "No": 0.3})], "Yes, it is", "No")
    assert found == pytest.approx([0.5, 0.3])


def test_options_that_begin_alike_go_by_the_next_place() -> None:
    answer = [Position("(", [("(", math.log(0.8))]), place(A=0.75, B=0.25)]
    assert probabilities(answer, "(A)", "(B)") == pytest.approx([0.6, 0.2])


def test_without_a_next_place_they_cannot_be_told_apart() -> None:
    answer = [Position("(", [("(", math.log(0.8))])]
    assert probabilities(answer, "(A)", "(B)") == pytest.approx([0.8, 0.8])


def test_ten_is_not_one_where_it_is_a_token() -> None:
    answer = [Position("10", [("10", math.log(0.5)), ("1", math.log(0.2)), ("9", math.log(0.1))])]
    assert probabilities(answer, "1", "9", "10") == pytest.approx([0.2, 0.1, 0.5])


def test_ten_is_one_and_zero_where_digits_are_tokens() -> None:
    first = Position("1", [("1", math.log(0.6)), ("9", math.log(0.3))])
    then = Position("0", [("0", math.log(0.9)), (".", math.log(0.1))])
    assert probabilities([first, then], "1", "9", "10") == pytest.approx([0.06, 0.3, 0.54])


def test_missing_options_that_begin_alike_do_not_look_indistinct() -> None:
    row = option_logprobs([place("9", **{"9": 0.9, "x": 0.05})], ["1", "9", "10"])
    assert row[0] == row[2] == NEVER
    assert row[1] == pytest.approx(math.log(0.9))


@pytest.mark.parametrize(
    ("options", "tokens"),
    [(["A", "B"], 1), (["(A)", "(B)"], 2), (["1", "2", "10"], 2), (["x" * 30, "x" * 31], 8)],
)
def test_so_many_tokens_are_asked_for(options: list[str], tokens: int) -> None:
    assert depth(options) == tokens
