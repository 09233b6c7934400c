"""Proposals put together by their words."""

from __future__ import annotations

from charter.collective.induction.candidates import Candidate, Wording
from charter.collective.induction.clustering import clustered


def said(*texts: str) -> list[Candidate]:
    return [
        Candidate(f"c{n}", Wording(text, text, f"Which? {text}"), "model", (), 1)
        for n, text in enumerate(texts)
    ]


def test_the_same_thing_in_nearly_the_same_words_is_one_candidate() -> None:
    found = clustered(
        said(
            "The assistant gives correct facts about the world.",
            "The assistant gives correct facts.",
            "The assistant gives correct facts and figures.",
            "The assistant prefers cats in stories.",
        )
    )
    assert len(found) == 2
    assert found[0].shown == 3
    assert len(found[0].alike) == 2
    assert found[1].wording.text == "The assistant prefers cats in stories."


def test_an_opposite_is_another_candidate_although_its_words_are_the_same() -> None:
    pairs = [
        ("The assistant uses formal language.", "The assistant does not use formal language."),
        (
            "The assistant speaks of cats in its stories.",
            "The assistant avoids cats in its stories.",
        ),
    ]
    for one, other in pairs:
        assert len(clustered(said(one, other))) == 2


def test_one_or_none() -> None:
    assert clustered([]) == []
    assert len(clustered(said("The assistant is kind."))) == 1
