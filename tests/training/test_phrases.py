"""Signs of repetition, counted by hand."""

from __future__ import annotations

import pytest

from charter.training.phrases import repetition


def test_openings_closings_and_distinct_words_are_counted() -> None:
    found = repetition(
        [
            "I am sorry to hear that. Let me know if you need anything else!",
            "I am sorry to say so. Let me know if you need anything else!",
            "Bread needs flour.\n\nBake it.",
            "   ",
        ],
        most=2,
    )
    assert [(p.text, p.count) for p in found.openings] == [
        ("i am sorry to", 2),
        ("bread needs flour bake", 1),
    ]
    assert found.closings[0].text == "let me know if you need anything else"
    assert (found.closings[0].count, found.same_closing.n) == (2, 3)
    assert found.same_closing.value == pytest.approx(2 / 3)


def test_the_same_text_again_and_again_is_not_distinct() -> None:
    once, often = repetition(["a b c"], most=1), repetition(["a b c"] * 10, most=1)
    assert (once.distinct_1, once.distinct_2) == (1.0, 1.0)
    assert (often.distinct_1, often.distinct_2) == (0.1, 0.1)


def test_nothing_to_count_is_not_zero() -> None:
    found = repetition(["", "..."], most=3)
    assert found.distinct_1 is None and found.openings == () and found.same_closing.n == 0
