"""Which principles judge a comparison, and with what weight, under each mode."""

from __future__ import annotations

from typing import Any

import msgspec

from charter.constitution.document import Categories, Category, Constitution, Principle
from charter.judging.ensemble import Ensemble, Mode
from charter.records import Comparison

from .conftest import comparison


def principle(id: str, weight: float, *tags: str) -> Principle:
    return Principle(id, id, "text", "critique", "revise", f"Which is more {id}?", weight, tags)


CONSTITUTION = Constitution(
    "charter/constitution/1",
    "test",
    "1",
    (
        principle("no-harm", 3.0, "harm", "general"),
        principle("lawful", 1.0, "harm"),
        principle("private", 2.0, "harm", "privacy"),
        principle("useful", 1.0, "helpful"),
        principle("clear", 2.0, "helpful", "code"),
    ),
    categories=Categories(harmful=(Category("theft", "Theft", "Stealing", ("lawful",)),)),
)


def drawn(mode: Mode, kind: str = "redteam", category: str = "") -> dict[str, float]:
    ensemble = Ensemble(CONSTITUTION, mode, harmful_tags=["harm"], harmless_tags=["helpful"])
    return dict(ensemble.draw(pair("c", kind, category)))


def pair(id: str, kind: str, category: str = "") -> Comparison:
    plain = comparison(id, "x", "y")
    changed: Any = msgspec.structs.replace(plain.prompt, kind=kind, category=category)
    return msgspec.structs.replace(plain, prompt=changed)


def test_all_count_the_same_and_weighted_do_not() -> None:
    assert drawn("all") == {"no-harm": 1.0, "lawful": 1.0, "private": 1.0}
    assert drawn("weighted") == {"no-harm": 3.0, "lawful": 1.0, "private": 2.0}
    assert drawn("weighted", "benign") == {"useful": 1.0, "clear": 2.0}


def test_one_is_drawn_with_a_weight_of_one() -> None:
    [(id, weight)] = drawn("one").items()
    assert id in ("no-harm", "lawful", "private") and weight == 1.0


def test_tags_and_citations_narrow_to_the_category() -> None:
    assert drawn("tag", category="privacy") == {"private": 2.0}
    assert drawn("tag", category="theft") == {"lawful": 1.0}
    assert drawn("tag", "benign", "code") == {"clear": 2.0}


def test_an_unknown_category_falls_to_the_general_principles_and_then_to_all() -> None:
    assert drawn("tag", category="unheard-of") == {"no-harm": 3.0}
    assert drawn("tag", "benign", "unheard-of") == {"useful": 1.0, "clear": 2.0}
