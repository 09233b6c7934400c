"""Checks across fields: priorities, levels, references, and that all problems are found."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from charter.constitution.checks import problems
from charter.constitution.clauses import (
    FORMAT,
    Categories,
    Category,
    Change,
    Constitution,
    Example,
    Principle,
)


def principle(id: str, *over: str, level: str = "") -> Principle:
    return Principle(id, id, "text", "critique", "revise", "Which?", over=over, level=level)


def document(*principles: Principle, levels: tuple[str, ...] = ()) -> Constitution:
    return Constitution(FORMAT, "test", "1", principles, levels=levels)


def codes(found: Constitution) -> list[str]:
    return [problem.code for problem in problems(found)]


def test_a_chain_of_priorities_is_no_circle() -> None:
    assert codes(document(principle("a", "b", "c"), principle("b", "c"), principle("c"))) == []


@pytest.mark.parametrize(
    ("principles", "says"),
    [
        ([principle("a", "a")], "a over a"),
        ([principle("a", "b"), principle("b", "a")], "a over b over a"),
        (
            [principle("c"), principle("b", "a"), principle("a", "d"), principle("d", "b")],
            "b over a",
        ),
    ],
)
def test_a_circle_of_priorities_is_named(principles: list[Principle], says: str) -> None:
    [problem] = problems(document(*principles))
    assert problem.code == "priority-cycle"
    assert says in problem.says


def test_a_long_chain_is_walked_without_recursion() -> None:
    chain = [principle(f"p{n}", f"p{n + 1}") for n in range(3000)]
    assert codes(document(*chain, principle("p3000"))) == []
    assert codes(document(*chain, principle("p3000", "p0"))) == ["priority-cycle"]


def test_a_level_goes_before_all_levels_below_it() -> None:
    levels = ("law", "custom", "taste")
    kept = document(principle("a", "b", level="law"), principle("b", level="taste"), levels=levels)
    assert codes(kept) == []
    turned = document(
        principle("a", level="law"), principle("b", "a", level="taste"), levels=levels
    )
    [problem] = problems(turned)
    assert (problem.code, problem.says) == (
        "priority-cycle",
        "priorities go in a circle: a over b over a",
    )


def test_clauses_of_one_level_may_go_before_each_other() -> None:
    same = document(principle("a", "b", level="law"), principle("b", level="law"), levels=("law",))
    assert codes(same) == []


GOOD = document(principle("a"), principle("b"))


def with_first(**changes: object) -> Constitution:
    return replace(GOOD, principles=(replace(GOOD.principles[0], **changes), GOOD.principles[1]))


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (with_first(over=("nobody",)), "reference"),
        (with_first(level="law"), "level"),
        (with_first(weight=math.inf), "weight"),
        (with_first(weight=math.nan), "weight"),
        (with_first(tags=("",)), "schema"),
        (with_first(exceptions=("",)), "schema"),
        (with_first(examples=(Example(""),)), "schema"),
        (with_first(span=(4, 2)), "span"),
        (with_first(comparison_question=""), "missing-form"),
        (replace(GOOD, levels=("x", "x")), "level"),
        (replace(GOOD, terms={"": "x"}), "schema"),
        (replace(GOOD, name=""), "schema"),
        (replace(GOOD, changelog=(Change("1", ""),)), "schema"),
        (replace(GOOD, categories=Categories((Category("Ü", "t", "t"),))), "id"),
    ],
)
def test_each_problem_has_its_code(broken: Constitution, code: str) -> None:
    assert codes(GOOD) == []
    assert codes(broken) == [code]


def test_all_problems_are_found_not_the_first_alone() -> None:
    both = document(principle("a", "x"), principle("a", "y"))
    assert codes(both) == ["duplicate-id", "reference", "duplicate-id", "reference"]
