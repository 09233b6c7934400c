"""Diff: which clause is which, what happened to it, and to its words."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from charter.constitution import document
from charter.constitution.clauses import (
    FORMAT,
    Categories,
    Category,
    Constitution,
    Principle,
)
from charter.constitution.diff import Diff, diff, word_diff


def principle(id: str, text: str = "") -> Principle:
    return Principle(id, id.title(), text or f"Text of {id}.", "c", "r", f"Which is more {id}?")


def constitution(*principles: Principle, **fields: object) -> Constitution:
    return replace(Constitution(FORMAT, "test", "1", principles), **fields)


FOUR = constitution(*(principle(id) for id in ("kind", "fair", "true", "calm")))


def kinds(found: Diff) -> dict[str, tuple[str, ...]]:
    return {change.id: change.kinds for change in found.principles}


def edited(index: int, **changes: object) -> Constitution:
    principles = list(FOUR.principles)
    principles[index] = replace(principles[index], **changes)
    return replace(FOUR, principles=tuple(principles))


def test_equal_documents_differ_in_nothing() -> None:
    found = diff(FOUR, FOUR)
    assert (found.principles, found.categories, found.document, found.unchanged) == ((), (), (), 4)


def test_each_field_has_its_kind() -> None:
    for changes, kind in (
        ({"text": "New."}, "reworded"),
        ({"comparison_question": "New?"}, "reworded"),
        ({"exceptions": ("satire",)}, "exceptions"),
        ({"over": ("fair",)}, "priority"),
        ({"level": "law"}, "priority"),
        ({"weight": 2.0}, "weight"),
        ({"tags": ("x",)}, "tags"),
        ({"rationale": "Why."}, "notes"),
        ({"title": "New"}, "notes"),
    ):
        found = diff(FOUR, edited(0, **changes))
        assert kinds(found) == {"kind": (kind,)}
        [change] = found.principles[0].fields
        [(field, value)] = changes.items()
        assert (change.field, change.after) == (field, value)


def test_a_clause_with_the_same_words_under_another_id_is_renamed() -> None:
    found = diff(FOUR, edited(1, id="just"))
    assert kinds(found) == {"just": ("renamed",)}
    assert found.principles[0].old_id == "fair"


def test_a_new_id_with_new_words_is_added_and_the_old_one_dropped() -> None:
    found = diff(FOUR, edited(1, id="just", text="Other words."))
    assert kinds(found) == {"just": ("added",), "fair": ("dropped",)}
    assert (found.principles[0].after, found.principles[1].before) == (2, 2)


def test_an_insertion_moves_nothing_and_a_move_names_the_clause_that_moved() -> None:
    more = replace(FOUR, principles=(principle("new"), *FOUR.principles))
    assert kinds(diff(FOUR, more)) == {"new": ("added",)}
    kind, fair, true, calm = FOUR.principles
    found = diff(FOUR, constitution(calm, kind, fair, true))
    assert kinds(found) == {"calm": ("moved",)}
    assert (found.principles[0].before, found.principles[0].after) == (4, 1)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.permutations(range(6)))
def test_as_few_clauses_as_possible_are_called_moved(order: list[int]) -> None:
    old = constitution(*(principle(f"p{n}") for n in range(6)))
    new = constitution(*(principle(f"p{n}") for n in order))
    moved = {change.id for change in diff(old, new).of_kind("moved")}
    stayed = [n for n in order if f"p{n}" not in moved]
    assert stayed == sorted(stayed)
    assert len(stayed) == _longest_rise(order)


def _longest_rise(order: list[int]) -> int:
    best = [1] * len(order)
    for i in range(len(order)):
        for j in range(i):
            if order[j] < order[i]:
                best[i] = max(best[i], best[j] + 1)
    return max(best)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.text("ab .,\n", max_size=20), st.text("ab .,\n", max_size=20))
def test_both_texts_can_be_put_together_from_the_words(before: str, after: str) -> None:
    runs = word_diff(before, after)
    assert "".join(r.text for r in runs if r.op != "+") == before
    assert "".join(r.text for r in runs if r.op != "-") == after


def test_words_that_changed_are_marked() -> None:
    runs = word_diff("Be kind to all.", "Be fair to all.")
    assert [(r.op, r.text) for r in runs] == [
        ("=", "Be "),
        ("-", "kind"),
        ("+", "fair"),
        ("=", " to all."),
    ]


def test_categories_and_the_document_are_compared() -> None:
    def with_categories(harmful: list[Category], harmless: list[Category]) -> Constitution:
        return replace(FOUR, categories=Categories(tuple(harmful), tuple(harmless)))

    x, y, z = (Category(id, id, id) for id in "xyz")
    old = with_categories([x, y], [z])
    new = replace(with_categories([replace(x, text="New.")], [y]), version="2")
    found = diff(old, new)
    assert [(c.id, c.half, c.kind) for c in found.categories] == [
        ("x", "harmful", "changed"),
        ("y", "harmless", "other half"),
        ("z", "harmless", "dropped"),
    ]
    assert [f.field for f in found.document] == ["version"]


def test_the_shipped_document_against_itself_in_another_form() -> None:
    shipped = document.load("default")
    assert diff(shipped, document.normal(shipped)).unchanged == len(shipped.principles)
