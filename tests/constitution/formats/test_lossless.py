"""Every format that can be imported, for texts made at random: nothing of them is lost."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.constitution import document as documents
from charter.constitution.clauses import Constitution
from charter.constitution.editing import to_yaml
from charter.constitution.formats.exporting import to_json
from charter.constitution.formats.given import Given
from charter.constitution.formats.importing import Imported, import_text
from charter.constitution.markdown import to_markdown

WORDS = st.lists(
    st.text(st.characters(categories=["L", "Nd"]), min_size=1, max_size=8), min_size=1, max_size=6
)
LINE = WORDS.map(lambda words: "The " + " ".join(words))
LINES = st.lists(LINE, min_size=1, max_size=6, unique_by=lambda text: text.casefold())
LEVELS = ("root", "system", "developer", "user", "guideline")
HEADINGS = st.lists(st.tuples(st.sampled_from(LEVELS), LINE), min_size=1, max_size=8)


def imported(text: str, format: str | None = None) -> Imported:
    found = import_text(Given("file", text), format)
    survives(found.document)
    return found


def survives(document: Constitution) -> None:
    """The document is the same in every form that holds all of it."""
    assert documents.parse(to_yaml(document)) == document
    assert documents.parse(to_json(document)) == document
    assert documents.parse(to_markdown(document), markdown=True) == document


@settings(max_examples=15, deadline=None)
@given(LINES)
def test_lists(lines: list[str]) -> None:
    bullets = imported("".join(f"- {line}.\n" for line in lines), "list").document
    assert [p.text for p in bullets.principles] == [f"{line}." for line in lines]
    array = imported(json.dumps(lines, indent=1), "json-list").document
    assert [p.text for p in array.principles] == lines


@settings(max_examples=15, deadline=None)
@given(HEADINGS)
def test_a_model_spec(headings: list[tuple[str, str]]) -> None:
    text = "# All {#all}\n" + "".join(
        f"\n## Rule {n} {{#rule_{n} authority={level}}}\n\n{line}.\n"
        for n, (level, line) in enumerate(headings)
    )
    document = imported(text, "model-spec").document
    assert [(p.level, p.text) for p in document.principles] == [
        (level, f"{line}.") for level, line in headings
    ]
    assert list(document.levels) == [e for e in LEVELS if e in {level for level, _ in headings}]
    for principle, (_, line) in zip(document.principles, headings, strict=True):
        assert principle.span is not None
        assert f"{line}." in text[slice(*principle.span)]


@settings(max_examples=15, deadline=None)
@given(LINES)
def test_prose(lines: list[str]) -> None:
    text = "# A letter\n" + "".join(f"\n## On {n}\n\n{line}.\n" for n, line in enumerate(lines))
    document = imported(text, "prose").document
    assert [p.text for p in document.principles] == [f"{line}." for line in lines]
    for principle, line in zip(document.principles, lines, strict=True):
        assert principle.span is not None
        assert line in text[slice(*principle.span)]


@settings(max_examples=15, deadline=None)
@given(LINES, LINE)
def test_criteria(lines: list[str], title: str) -> None:
    given = {"id": "c", "title": title, "version": "1", "summary": "S.", "criteria": lines}
    document = imported(json.dumps(given, indent=1), "constitutional-evals").document
    assert [p.text for p in document.principles] == lines
    assert document.title == title


@settings(max_examples=15, deadline=None)
@given(LINES, st.data())
def test_principles_of_annotated_pairs(lines: list[str], data: st.DataObject) -> None:
    votes = [data.draw(st.sampled_from(["a", "b"])) for _ in range(3)]
    people = {"people": {"description": "People", "type": "human"}}
    rules = {f"r{n}": {"description": text, "type": "principle"} for n, text in enumerate(lines)}
    rows = [
        {"annotations": {"people": {"pref": "a"}, **{id: {"pref": vote} for id in rules}}}
        for vote in votes
    ]
    given = {
        "metadata": {"version": "2.0", "default_annotator": "people"},
        "annotators": {**people, **rules},
        "comparisons": rows,
    }
    document = imported(json.dumps(given, indent=1), "annotated-pairs").document
    assert [p.text for p in document.principles] == lines
    share = f"{votes.count('a')} of 3"
    assert all(share in p.rationale for p in document.principles)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_line_ends_count_in_offsets_and_change_no_clause(ending: str) -> None:
    text = "# T\n\n## One\n\nFirst.\n\n## Two\n\nSecond.\n".replace("\n", ending)
    document = imported(text, "prose").document
    assert [p.text for p in document.principles] == ["First.", "Second."]
    spans = [p.span for p in document.principles]
    assert all(
        span and word in text[slice(*span)]
        for span, word in zip(spans, ("First", "Second"), strict=True)
    )
