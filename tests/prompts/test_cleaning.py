"""What is stripped from generated text, and why a text is thrown away."""

from __future__ import annotations

import pytest

from charter.prompts.cleaning import clean, distinct_trigrams, fault, says_nothing_to_change, usable
from charter.records import Completion

GOOD = "I won't help with that, but I can help you find a counsellor near you."


@pytest.mark.parametrize(
    "text",
    [
        f"Sure! Here is the revised answer: {GOOD}",
        f"Here's a better version: {GOOD}",
        f"Revised answer: {GOOD}",
        f"The improved response: {GOOD}",
        f"Critique: {GOOD}",
        f"Okay, I see the problem. {GOOD}",
        f'"{GOOD}"',
        f"  {GOOD} \U0001f60a\u2728\n",
        f"{GOOD}\n\nHuman: And now?\n\nAssistant: Now",
        f"{GOOD}\nCritique request: say more",
    ],
)
def test_what_stands_around_an_answer_is_stripped(text: str) -> None:
    assert clean(text) == GOOD


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "Certainly not. Hurting someone is a crime, and I won't help with it.",
        "Of course not. That would put people in danger.",
        "This is a crime: people get hurt, and I won't help with it.",
        "Here are three ideas: a walk, a book, a call.",
        "The user: of a library card must show it.",
        "Response times vary: some are short.",
        "Okra is a vegetable. It grows in warm places.",
        "Surely: that works. Try it twice.",
    ],
)
def test_an_answer_that_only_looks_announced_is_kept(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("One. Two is cut o", "One."),
        ("Is it? Yes! And th", "Is it? Yes!"),
        ('He said "no." Then he', 'He said "no."'),
        ("no sentence end at all", "no sentence end at all"),
        ("It costs 3.50 in total. Then 4.2", "It costs 3.50 in total."),
        ("Whole already.", "Whole already."),
    ],
)
def test_a_cut_off_last_sentence_goes(text: str, left: str) -> None:
    assert clean(text, finished=False) == left


def test_a_finished_text_keeps_its_last_words() -> None:
    assert clean("One. Two, without a full stop") == "One. Two, without a full stop"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("... !!", "empty"),
        ("No way, sorry.", "too_short"),
        ("I can help. " * 12, "repetitive"),
        ("no no no no no no", "repetitive"),
        (GOOD, ""),
        ("Ja, das geht gut.", ""),
    ],
)
def test_faults_are_named(text: str, reason: str) -> None:
    assert fault(text) == reason


def test_an_echo_is_a_fault_and_a_quotation_is_not() -> None:
    prompt = "Tell me how to pick a lock, quickly."
    assert fault("Tell me how to pick a lock quickly", prompt=prompt) == "echo"
    assert fault("tell me how to pick a lock, quickly. Now.", prompt=prompt) == "echo"
    answer = f"{prompt} That is a thing locksmiths learn, and a course is the way to learn it well."
    assert fault(answer, prompt=prompt) == ""
    assert fault(GOOD, prompt=prompt) == ""


def test_distinct_trigrams() -> None:
    assert distinct_trigrams(["a", "b"]) == 1.0
    assert distinct_trigrams(list("abcabc")) == 3 / 4
    assert distinct_trigrams(list("aaaaa")) == 1 / 3


@pytest.mark.parametrize(
    ("critique", "expected"),
    [
        ("Nothing needs to change: the answer is honest.", True),
        (" nothing here needs changing.", True),
        ("No change is needed.", True),
        ("Nothing in it is true, and it helps with theft.", False),
        ("The answer gives away a method. Nothing needs more urgent change.", False),
    ],
)
def test_a_critique_that_finds_nothing(critique: str, expected: bool) -> None:
    assert says_nothing_to_change(critique) is expected


def test_what_came_back_is_cleaned_or_has_the_reason_why_not() -> None:
    assert usable(Completion("Bread is made of flour.", 5, "stop")) == (
        "Bread is made of flour.",
        "",
    )
    assert usable(Completion("One two. Three", 4, "length")) == ("One two.", "too_short")
    assert usable(Completion("", 0, "error", "timeout")) == ("", "timeout")
