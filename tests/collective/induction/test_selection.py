"""The short list: known best lists, exceptions, costs, order."""

from __future__ import annotations

import numpy as np
import pytest

from charter.collective.induction.selection import choose, decided, verdicts


def votes(*rows: str) -> np.ndarray:
    """Rows of + (for A), - (for B) and . (not relevant)."""
    return np.array([[" -.+".index(c) - 2 for c in row] for row in rows], dtype=np.int8)


def chosen(rows: np.ndarray, most: int = 5, cost: float = 1.5) -> list[int]:
    return choose(rows, [1] * rows.shape[1], [cost] * len(rows), most)


def test_rules_that_explain_different_pairs_are_all_taken() -> None:
    rows = votes("++++++....", "......++++", "+-+-+-+-+-")
    assert chosen(rows) == [0, 1]


def test_a_sharp_rule_goes_before_a_vague_one_which_is_counted_beyond_it() -> None:
    sharp, vague = "........++++++++", "++++++++++++----"
    assert chosen(votes(vague, sharp)) == [1, 0]


def test_what_explains_nothing_more_is_left_out() -> None:
    assert chosen(votes("++++++++", "+++++...")) == [0]


def test_of_equal_candidates_the_earlier_or_the_cheaper_is_taken() -> None:
    rows = votes("++++++", "++++++")
    assert chosen(rows) == [0]
    assert choose(rows, [1] * 6, [2.4, 2.0], 5) == [1]


def test_a_rule_that_a_later_set_makes_needless_is_dropped() -> None:
    broad = "++++++++-++++++++-++"
    first, second = "++++++++++..........", "..........++++++++++"
    assert sorted(chosen(votes(broad, first, second))) == [1, 2]


@pytest.mark.parametrize("row", ["+++......", "++++----.", "---------"])
def test_what_does_not_pay_is_not_taken(row: str) -> None:
    assert chosen(votes(row)) == []


def test_four_of_four_just_pay() -> None:
    assert chosen(votes("++++....")) == [0]


def test_errors_count_even_where_a_rule_above_hides_them() -> None:
    sharp, bad = "++++++++++....", "----------++++"
    assert chosen(votes(sharp, bad)) == [0]


def test_there_are_never_more_than_asked_for() -> None:
    rows = votes("+++++..........", ".....+++++.....", "..........+++++")
    assert len(chosen(rows, most=2)) == 2
    assert len(chosen(rows, most=5)) == 3


def test_signs_turn_votes() -> None:
    rows = votes("-+-+-+")
    assert choose(rows, [-1, 1, -1, 1, -1, 1], [2.0], 5) == [0]


def test_nothing_to_choose_from() -> None:
    assert chosen(np.empty((0, 4), dtype=np.int8)) == []
    assert verdicts(np.empty((0, 4), dtype=np.int8)).tolist() == [0, 0, 0, 0]


def test_the_first_that_speaks_decides() -> None:
    rows = votes("..-.", "-++.")
    assert decided(rows).tolist() == [1, 1, 0, -1]
    assert verdicts(rows).tolist() == [-1, 1, -1, 0]
