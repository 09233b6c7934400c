"""Edits in place: the lines that change are those that were asked for, comments and all."""

from __future__ import annotations

from pathlib import Path

import pytest

from charter.constitution import document
from charter.constitution.clauses import Change, Example, Principle
from charter.constitution.editing import Editor
from charter.errors import DocumentError

TEXT = """\
# Our house rules.
format: charter/constitution/1
name:   small      # three spaces
version: "1"

principles:
  # the first one
  - id: kind
    title: Be kind
    text: >
      The assistant
      is kind.
    critique_request: Say where
      it is unkind.   # wrapped by hand
    revision_request: 'Make it kind.'
    comparison_question: "Which is kinder?"
    weight: 2  # twice as important
    tags: [ manner,  care ]

  # the second one
  - id: honest
    title: Be honest
    text: The assistant is honest.
    critique_request: Say where it misleads.
    revision_request: Make it honest.
    comparison_question: Which is more honest?

# what the guard stops
categories:
  harmful:
    - {id: insult, title: Insults,
       text: Demeaning someone., principles: [kind]}
"""
NEW = Principle(
    "calm", "Be calm", "First.\n\n- then: this", "c", "r", "q?", examples=(Example("x"),)
)


def changed(before: str, after: str) -> tuple[list[str], list[str]]:
    """Lines that went, and lines that came."""
    old, new = before.split("\n"), after.split("\n")
    return [x for x in old if x not in new], [x for x in new if x not in old]


@pytest.mark.parametrize(
    ("id", "field", "value", "gone", "came"),
    [
        (
            "kind",
            "comparison_question",
            "Which is nicer?",
            ['    comparison_question: "Which is kinder?"'],
            ['    comparison_question: "Which is nicer?"'],
        ),
        (
            "honest",
            "text",
            "It says: the truth.",
            ["    text: The assistant is honest."],
            ['    text: "It says: the truth."'],
        ),
        (
            "kind",
            "weight",
            3.0,
            ["    weight: 2  # twice as important"],
            ["    weight: 3.0 # twice as important"],
        ),
        (
            "honest",
            "rationale",
            "Trust.\n\nIt takes long.",
            [],
            ["    rationale: |-", "      Trust.", "      It takes long."],
        ),
        ("kind", "over", ("honest",), [], ["    over: [honest]"]),
        (
            "kind",
            "tags",
            (),
            ["    tags: [ manner,  care ]"],
            [],
        ),
    ],
)
def test_a_field_is_set_and_every_other_line_stays(
    id: str, field: str, value: object, gone: list[str], came: list[str]
) -> None:
    editor = Editor(TEXT)
    editor.set(id, field, value)
    assert changed(TEXT, editor.text) == (gone, came)
    assert getattr(document.parse(editor.text).principle(id), field) == value


def test_a_principle_is_added_after_the_last_one() -> None:
    editor = Editor(TEXT)
    editor.add(NEW)
    gone, came = changed(TEXT, editor.text)
    assert gone == []
    assert came[:2] == ["  - id: calm", "    title: Be calm"]
    assert document.parse(editor.text).principles[-1] == NEW
    # It stands before the comment that belongs to what follows.
    assert editor.text.index("calm") < editor.text.index("# what the guard stops")


def test_a_principle_is_removed_and_the_comments_around_it_stay() -> None:
    editor = Editor(TEXT)
    editor.remove("honest")
    gone, came = changed(TEXT, editor.text)
    assert came == []
    assert all("honest" in line or "mislead" in line for line in gone)
    assert [p.id for p in document.parse(editor.text).principles] == ["kind"]
    assert "# the second one" in editor.text


def test_the_changelog_and_the_version_go_on() -> None:
    editor = Editor(TEXT)
    editor.log(Change("1.1", "Kinder.", principles=("kind",)))
    editor.set_version("1.1")
    found = document.parse(editor.text)
    assert (found.version, found.changelog) == (
        "1.1",
        (Change("1.1", "Kinder.", principles=("kind",)),),
    )
    assert changed(TEXT, editor.text)[0] == ['version: "1"']


def test_edits_follow_one_another() -> None:
    editor = Editor(TEXT)
    editor.add(NEW)
    editor.set("calm", "weight", 0.5)
    editor.remove("honest")
    assert [p.id for p in editor.document.principles] == ["kind", "calm"]
    assert editor.document == document.parse(editor.text)
    for comment in ("# Our house rules.", "# three spaces", "# the first one", "# wrapped by hand"):
        assert comment in editor.text


@pytest.mark.parametrize("style", ["flow", "json", "no margin"])
def test_other_layouts_can_be_edited(style: str) -> None:
    flow = (
        "{format: charter/constitution/1, name: x, version: '1', principles: [{id: kind, title: t,"
        " text: t, critique_request: c, revision_request: r, comparison_question: q}]}"
    )
    margin = TEXT[: TEXT.index("# what")].replace("\n  ", "\n")
    editor = Editor({"flow": flow, "json": flow.replace("'1'", '"1"'), "no margin": margin}[style])
    editor.add(NEW)
    editor.set("kind", "title", "Be nice")
    assert [p.id for p in editor.document.principles][-1] == "calm"
    assert editor.document.principle("kind").title == "Be nice"


def test_a_bad_edit_is_refused_and_leaves_the_text(tmp_path: Path) -> None:
    editor = Editor(TEXT, file="mine.yaml")
    with pytest.raises(DocumentError, match=r"mine\.yaml:\d+: .*weight -1"):
        editor.set("kind", "weight", -1.0)
    with pytest.raises(DocumentError, match="unknown principle 'kind'"):
        editor.remove("kind")
    with pytest.raises(DocumentError, match="duplicate id"):
        editor.add(document.parse(TEXT).principles[0])
    with pytest.raises(DocumentError, match="no principle 'cruel'"):
        editor.set("cruel", "weight", 2.0)
    assert editor.text == TEXT


def test_the_shipped_document_changes_in_one_line() -> None:
    text = document.contents(document.locate("default"))
    editor = Editor(text)
    editor.set("lawful", "comparison_question", "Which answer is of less use to a thief?")
    gone, came = changed(text, editor.text)
    assert len(gone) == len(came) == 1
