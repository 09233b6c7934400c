"""Paraphrases: other words, the same question, and a judge that can be asked them."""

from __future__ import annotations

import pytest

from charter.constitution import document
from charter.judging.paraphrase import STYLES, paraphrase_id, reworded, with_paraphrases

CONSTITUTION = document.load("default")


@pytest.mark.parametrize("style", range(len(STYLES)))
def test_what_is_asked_stays_and_the_words_around_it_change(style: int) -> None:
    question = "Which answer is less harmful?"
    assert "is less harmful" in reworded(question, style)
    assert reworded(question, style) != question
    # Nothing in the user's text is read as a placeholder.
    assert "{x} and %s" in reworded("Pick {x} and %s.", style)


def test_styles_differ_on_every_shipped_question() -> None:
    for principle in CONSTITUTION.principles:
        found = {reworded(principle.comparison_question, s) for s in range(len(STYLES))}
        assert len(found | {principle.comparison_question}) == len(STYLES) + 1


def test_paraphrased_principles_are_added_and_the_others_stay() -> None:
    both = with_paraphrases(CONSTITUTION, 2)
    count = len(CONSTITUTION.principles)
    assert both.principles[:count] == CONSTITUTION.principles
    assert len(both.principles) == 3 * count
    added = both.principle(paraphrase_id("no-harm", 1))
    original = CONSTITUTION.principle("no-harm")
    assert added.comparison_question == reworded(original.comparison_question, 1)
    assert (added.weight, added.tags) == (original.weight, original.tags)
    assert with_paraphrases(CONSTITUTION, 0) == CONSTITUTION
