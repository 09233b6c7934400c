from __future__ import annotations

from charter.guard.dedup import SeenTexts, jaccard, signature
from charter.prompts import sets

TEXT = "the quick brown fox jumps over the lazy dog and runs far away into the deep green wood"


def test_jaccard_of_a_known_pair() -> None:
    assert jaccard("a b c d", "a b c e") == 1 / 3
    assert jaccard("Yes!", "yes") == 1.0
    assert jaccard("one two three", "four five six") == 0.0


def test_the_signature_estimates_jaccard() -> None:
    words = TEXT.split()
    for changed in range(0, 8):
        other = " ".join([*words[: len(words) - changed], *(f"new{k}" for k in range(changed))])
        estimate = float((signature(TEXT) == signature(other)).mean())
        assert abs(estimate - jaccard(TEXT, other)) < 0.13  # three standard errors


def test_planted_duplicates_are_found_and_nothing_else_is() -> None:
    texts = [p.messages[0].content for p in sets.library("benign")[:120]]
    seen = SeenTexts(0.6)
    assert [seen.add(str(k), text) for k, text in enumerate(texts)] == [""] * len(texts)
    for k in range(0, 120, 7):
        assert seen.add("again", texts[k].upper() + "  !!") == str(k)
    long = TEXT + " " + TEXT.replace("fox", "cat")
    assert seen.add("long", long) == ""
    assert seen.add("edited", long.replace("deep green wood", "deep dark wood")) == "long"


def test_a_text_that_was_refused_is_not_remembered() -> None:
    seen = SeenTexts(0.6)
    seen.add("first", TEXT)
    seen.add("second", TEXT)
    assert seen.add("third", TEXT) == "first"
