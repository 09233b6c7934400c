"""What the rules of thumb on wording see, and what they leave alone."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from charter.constitution.balance import balance
from charter.constitution.clauses import (
    FORMAT,
    Categories,
    Category,
    Change,
    Constitution,
    Principle,
    Reference,
)
from charter.constitution.findings import Remark
from charter.constitution.wording import count_demands, wording

PLAIN = Principle(
    "kind",
    "Be kind",
    "The assistant is kind.",
    "Say where it is unkind.",
    "Make it kind.",
    "Which is kinder?",
)


def document(*principles: Principle, **fields: object) -> Constitution:
    return replace(Constitution(FORMAT, "test", "1", principles), **fields)


def remarks(**changes: object) -> list[Remark]:
    return list(wording(document(replace(PLAIN, **changes))))


@pytest.mark.parametrize(
    "text",
    [
        "The assistant does not refuse harmless requests.",
        "It never fails to answer.",
        "It is not unacceptable to joke.",
        "The assistant cannot be without a source.",
        "It doesn't avoid hard questions.",
    ],
)
def test_a_double_negation_is_seen(text: str) -> None:
    [found] = remarks(text=text)
    assert (found.code, found.principle) == ("double-negation", "kind")
    assert found.evidence["field"] == "text"
    assert found.evidence["words"] in text


@pytest.mark.parametrize(
    "text",
    [
        "The assistant does not lie and does not cheat.",
        "It does not invent facts, and says when it does not know.",
        "It refuses what is harmful.",
        "No threats, no insults.",
        "It is not rude to people who are unable to pay.",
    ],
)
def test_a_plain_negation_is_left_alone(text: str) -> None:
    assert [r.code for r in remarks(text=text)] == []


@pytest.mark.parametrize(
    ("text", "demands"),
    [
        ("The assistant is kind.", 1),
        ("It declines, and says why.", 2),
        ("It declines and says what it will not do.", 2),
        ("It is warm, gives no means of harm, and points to people who help.", 3),
        ("It is kind. It is fair. It must cite the law and names a source.", 4),
        ("It treats rules and the people behind them alike.", 1),
    ],
)
def test_demands_are_counted(text: str, demands: int) -> None:
    assert count_demands(text) == demands


def test_a_clause_of_many_demands_and_a_question_of_two_measures_are_seen() -> None:
    many, two = remarks(
        text="It is kind. It is fair. It is brief.",
        comparison_question="Which answer is kinder and less wordy?",
    )
    assert (many.code, many.evidence["demands"]) == ("compound", 3)
    assert (two.code, two.evidence["words"]) == ("compound", "kinder and less")


@pytest.mark.parametrize(
    "question",
    ["Which answer is kinder to the user and others?", "Which is less harmful, and why?"],
)
def test_a_question_of_one_measure_is_left_alone(question: str) -> None:
    assert remarks(comparison_question=question) == []


def terms_of(found: list[Remark]) -> list[str]:
    assert {remark.code for remark in found} <= {"undefined-term"}
    return [remark.evidence["term"] for remark in found]


def test_terms_that_nothing_explains_are_seen() -> None:
    found = remarks(text="Follow the Safety Charter, CBRN rules and “safe mode”.")
    assert sorted(terms_of(found)) == ["CBRN", "Safety Charter", "safe mode"]


def test_a_term_is_explained_in_terms_in_a_title_or_in_the_text() -> None:
    text = "CBRN means weapons. The “safe mode” is a setting. Follow the Safety Charter, as an AI."
    titled = replace(PLAIN, id="charter", title="Safety Charter")
    principle = replace(PLAIN, text=text)
    found = wording(document(principle, titled, terms={}))
    assert terms_of([r for r in found if r.code == "undefined-term"]) == []
    assert terms_of(remarks(text="Use GDPR.")) == ["GDPR"]
    given = wording(document(replace(PLAIN, text="Use GDPR."), terms={"GDPR": "a law"}))
    assert list(given) == []


def category(id: str, *principles: str) -> Category:
    return Category(id, id, id, principles)


@pytest.mark.parametrize(
    ("harmful", "harmless", "codes"),
    [
        (0, 0, []),
        (2, 2, []),
        (4, 2, []),
        (5, 2, ["unbalanced-categories"]),
        (1, 0, ["unbalanced-categories"]),
        (0, 3, ["unbalanced-categories"]),
    ],
)
def test_categories_are_weighed(harmful: int, harmless: int, codes: list[str]) -> None:
    halves = Categories(
        tuple(category(f"x{n}", "kind") for n in range(harmful)),
        tuple(category(f"y{n}") for n in range(harmless)),
    )
    assert [r.code for r in balance(document(PLAIN, categories=halves))] == codes


def test_a_harmful_category_without_a_clause_is_seen() -> None:
    halves = Categories((category("x"),), (category("y"),))
    [found] = balance(document(PLAIN, categories=halves))
    assert (found.code, found.evidence) == ("uncited-category", {"category": "x"})


def test_what_an_overlay_dropped_or_overruled_is_shown() -> None:
    added = replace(PLAIN, id="calm", over=("kind",))
    made = document(
        PLAIN,
        added,
        changelog=(Change("2", "Drops “Honesty”. No use.", "drop", ("honest",)), Change("2", "x")),
        made_from=(Reference("base", "1", "d", ("kind",)),),
    )
    dropped, overruled = balance(made)
    assert (dropped.code, dropped.evidence["dropped"]) == ("dropped-clause", ["honest"])
    assert (overruled.code, overruled.principle) == ("overruled-clause", "calm")
