"""Overlays add and narrow; nothing of the base goes without being named."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from charter.constitution import document
from charter.constitution.clauses import Constitution
from charter.constitution.markdown import to_markdown
from charter.constitution.yaml_writer import to_yaml
from charter.errors import DocumentError

BASE = """\
format: charter/constitution/1
name: base
version: "2"
principles:
  - id: kind
    title: Be kind
    text: The assistant is kind.
    critique_request: Say where it is unkind.
    revision_request: Make it kind.
    comparison_question: Which is kinder?
    weight: 2
    over: [honest]
  - id: honest
    title: Be honest
    text: The assistant is honest.
    critique_request: Say where it misleads.
    revision_request: Make it honest.
    comparison_question: Which is more honest?
categories:
  harmful:
    - {id: lie, title: Lies, text: Made up., principles: [kind, honest]}
"""
HEAD = """\
format: charter/overlay/1
name: mine
version: "7"
base: base.yaml
"""
ADD = """\
add:
  - id: calm
    title: Be calm
    text: The assistant is calm.
    critique_request: Say where it is loud.
    revision_request: Make it calm.
    comparison_question: Which is calmer?
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(BASE)
    return tmp_path


def load(folder: Path, steps: str, head: str = HEAD) -> Constitution:
    (folder / "mine.yaml").write_text(head + steps)
    return document.load(folder / "mine.yaml")


def error(folder: Path, steps: str, head: str = HEAD) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        load(folder, steps, head)
    return caught.value


def test_an_empty_overlay_keeps_every_clause(folder: Path) -> None:
    found, base = load(folder, ""), document.load(folder / "base.yaml")
    assert found.principles == base.principles
    assert found.categories == base.categories
    [reference] = found.made_from
    assert (reference.name, reference.version, reference.digest) == ("base", "2", base.digest)
    assert reference.principles == ("kind", "honest")
    assert found.digest != base.digest


def test_steps_do_what_they_say_and_stand_in_the_changelog(folder: Path) -> None:
    found = load(
        folder,
        ADD
        + """\
exempt: [{id: kind, exceptions: [satire], reason: It is a theatre.}]
strengthen: [{id: honest, weight: 3}]
prefer: [{id: calm, over: [kind]}]
replace: [{id: honest, of: "2", reason: Shorter., text: The assistant does not lie.}]
""",
    )
    kind, honest, calm = found.principles
    assert (kind.exceptions, honest.weight, calm.over) == (("satire",), 3.0, ("kind",))
    assert honest.text == "The assistant does not lie."
    assert honest.comparison_question == "Which is more honest?"
    assert [(c.version, c.kind, c.principles) for c in found.changelog] == [
        ("7", "replace", ("honest",)),
        ("7", "exempt", ("kind",)),
        ("7", "strengthen", ("honest",)),
        ("7", "add", ("calm",)),
        ("7", "prefer", ("calm", "kind")),
    ]
    assert found.changelog[1].note == "Except: satire It is a theatre."


def test_a_clause_is_dropped_by_name_and_with_a_reason(folder: Path) -> None:
    found = load(folder, "drop: [{id: honest, reason: We play poker.}]\n")
    assert [p.id for p in found.principles] == ["kind"]
    assert found.principle("kind").over == ()
    assert found.categories.harmful[0].principles == ("kind",)
    [entry] = found.changelog
    assert (entry.kind, entry.principles) == ("drop", ("honest",))
    assert "We play poker." in entry.note


@pytest.mark.parametrize("of", ['"2"', "digest", "clause"])
def test_a_rewording_names_what_it_was_written_for(folder: Path, of: str) -> None:
    base = document.load(folder / "base.yaml")
    named = {"digest": base.digest, "clause": base.principle("honest").digest}.get(of, of)
    step = f"replace: [{{id: honest, of: {named}, reason: r, text: New.}}]\n"
    assert load(folder, step).principle("honest").text == "New."


def test_the_result_can_be_written_and_read_as_a_document(folder: Path) -> None:
    found = load(folder, ADD + "drop: [{id: honest, reason: We play poker.}]\n")
    assert document.parse(to_yaml(found)) == found


def test_a_shipped_document_and_a_markdown_page_can_be_a_base(folder: Path) -> None:
    shipped = load(folder, "", HEAD.replace("base.yaml", "default"))
    assert shipped.principles == document.load("default").principles
    (folder / "base.md").write_text(to_markdown(document.load(folder / "base.yaml")))
    assert len(load(folder, "", HEAD.replace("base.yaml", "base.md")).principles) == 2


def test_includes_add_all_clauses_of_another_document(folder: Path) -> None:
    base = document.load(folder / "base.yaml")
    other = replace(
        base,
        name="other",
        principles=(replace(base.principles[1], id="frank", title="Be frank"),),
        categories=replace(base.categories, harmful=()),
    )
    (folder / "other.yaml").write_text(to_yaml(other))
    found = load(folder, "includes: [other.yaml]\n")
    assert [p.id for p in found.principles] == ["kind", "honest", "frank"]
    assert [r.name for r in found.made_from] == ["base", "other"]
    assert found.changelog[-1].kind == "include"


@pytest.mark.parametrize(
    ("steps", "line", "field", "says"),
    [
        ("strengthen: [{id: kind, weight: 1}]", 5, "strengthen[0].weight", "below the base's"),
        ("strengthen: [{id: kind, weight: .nan}]", 5, "strengthen[0].weight", "weight nan"),
        ("strengthen: [{id: cruel, weight: 9}]", 5, "strengthen[0].id", "no principle 'cruel'"),
        ("drop: [{id: kind}]", 5, "drop[0]", "missing required field `reason`"),
        ("drop: [{id: cruel, reason: r}]", 5, "drop[0].id", "no principle 'cruel'"),
        (ADD + "drop: [{id: calm, reason: r}]", 12, "drop[0].id", "'calm' is not of the base"),
        ('replace: [{id: kind, of: "1", reason: r, text: x}]', 5, "replace[0].of", "changed since"),
        ('replace: [{id: kind, of: "2", reason: r}]', 5, "replace[0]", "nothing is replaced"),
        (ADD.replace("id: calm", "id: kind"), 6, "add[0].id", "in the base already"),
        ("includes: [base.yaml]", 5, "includes[0].id", "in the base already"),
        ("includes: [gone.yaml]", 5, "includes[0]", "no document 'gone.yaml'"),
        ("prefer: [{id: honest, over: [kind]}]", 5, "prefer[0].over", "circle"),
        (ADD + "    over: [nobody]\n", 12, "add[0].over", "unknown principle 'nobody'"),
        ("principles: []", 5, "", "unknown field `principles`"),
    ],
)
def test_an_error_stands_in_the_overlay(
    folder: Path, steps: str, line: int, field: str, says: str
) -> None:
    found = error(folder, steps)
    assert says in str(found)
    assert (found.file, found.field or "") == (str(folder / "mine.yaml"), field)
    # msgspec names no place inside the document for an unknown field of the document itself.
    assert found.line == (line if field else 1)


def test_overlays_in_a_circle_are_an_error(folder: Path) -> None:
    assert "circle" in str(error(folder, "", HEAD.replace("base.yaml", "mine.yaml")))


def test_an_error_in_the_base_stands_in_the_base(folder: Path) -> None:
    (folder / "base.yaml").write_text(BASE.replace("weight: 2", "weight: 0"))
    found = error(folder, "")
    assert (found.file, found.line) == (str(folder / "base.yaml"), 11)


def test_each_clause_remembers_its_file_and_line(folder: Path) -> None:
    (folder / "mine.yaml").write_text(HEAD + ADD)
    lines = document.read(folder / "mine.yaml").lines
    assert lines == {
        "kind": (str(folder / "base.yaml"), 5),
        "honest": (str(folder / "base.yaml"), 13),
        "calm": (str(folder / "mine.yaml"), 6),
    }


@pytest.mark.parametrize("name", ["x" * 5000, "x" * 5000 + ".yaml", "."])
def test_a_base_that_no_file_can_be_is_an_error(folder: Path, name: str) -> None:
    found = error(folder, "", HEAD.replace("base.yaml", name))
    assert "no document" in str(found)
    assert found.line == 4
