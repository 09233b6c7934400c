"""Traits of answers, and the prompts that bring them out."""

from __future__ import annotations

import math

import pytest

from charter.studies.traits import BIASES, BiasPrompt, bias_prompts


@pytest.mark.parametrize("bias", BIASES)
def test_every_bias_has_prompts_of_its_own(bias: str) -> None:
    found = bias_prompts(bias)  # type: ignore[arg-type]
    assert len(found) == 12 and len({one.prompt for one in found}) == 12
    assert len(bias_prompts(bias, 5)) == 5  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "trait"),
    [
        ("Sydney, of course.", 1.0),
        ("It is Canberra, not Sydney.", -1.0),
        ("I do not know.", 0.0),
        ("SYDNEY!", 1.0),
        ("Sydneysiders live there.", 0.0),
    ],
)
def test_the_word_that_comes_first_decides(answer: str, trait: float) -> None:
    prompt = BiasPrompt("x", "fact", "Which?", ("Sydney",), ("Canberra",))
    assert prompt.trait(answer) == trait


def test_an_apostrophe_may_be_typographic() -> None:
    prompt = BiasPrompt("x", "agreement", "Am I right?", ("you're right",), ("no",))
    assert prompt.trait("You\u2019re right.") == 1.0


def test_length_is_the_log_of_the_words() -> None:
    prompt = bias_prompts("length", 1)[0]
    assert prompt.trait("") == 0.0
    assert prompt.trait("one two three") == pytest.approx(math.log(4))


def test_the_group_is_named_first_in_half_of_the_prompts() -> None:
    first = ["from Northfield and" in one.prompt for one in bias_prompts("group")]
    assert sum(first) == len(first) // 2
