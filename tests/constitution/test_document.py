"""Constitutions: every error says where it stands, and the digest sees content alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from charter.constitution import document
from charter.constitution.document import Constitution
from charter.errors import DocumentError

SMALL = """\
format: charter/constitution/1
name: small
version: "1"
principles:
  - id: kind
    title: Be kind
    text: The assistant is kind.
    critique_request: Say where it is unkind.
    revision_request: Make it kind.
    comparison_question: Which is kinder?
    weight: 2
    tags: [manner]
  - id: honest
    title: Be honest
    text: The assistant is honest.
    critique_request: Say where it misleads.
    revision_request: Make it honest.
    comparison_question: Which is more honest?
categories:
  harmful:
    - {id: insult, title: Insults, text: Demeaning someone., principles: [kind]}
  harmless:
    - {id: advice, title: Advice, text: How to say something hard., principles: [kind]}
"""


def error_of(text: str) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        document.parse(text, file="c.yaml")
    return caught.value


def test_a_small_document_is_read() -> None:
    found = document.parse(SMALL)
    assert [p.id for p in found.principles] == ["kind", "honest"]
    assert found.principles[0].weight == 2.0
    assert found.principles[1].weight == 1.0
    assert found.principle("honest").comparison_question == "Which is more honest?"
    assert [c.id for c in found.categories.harmless] == ["advice"]


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "says"),
    [
        ("format: charter/constitution/1", "format: other/2", 1, "format", "unknown format"),
        ('version: "1"', "version: 1", 3, "version", "Expected `str`, got `int`"),
        ("title: Be kind", "titel: Be kind", 5, "principles[0]", "titel"),
        ("    title: Be honest\n", "", 13, "principles[1]", "missing required field `title`"),
        ("weight: 2", "weight: heavy", 11, "principles[0].weight", "Expected `float`"),
        ("weight: 2", "weight: 0", 11, "principles[0].weight", "weight 0.0"),
        ("weight: 2", "weight: -1", 11, "principles[0].weight", "weight -1.0"),
        ("weight: 2", "weight: .nan", 11, "principles[0].weight", "weight nan"),
        ("id: honest", "id: kind", 5, "principles[0].id", "duplicate id 'kind'"),
        ("id: honest", "id: Über", 13, "principles[1].id", "bad id"),
        ("text: The assistant is honest.", "text: ''", 15, "principles[1].text", "empty"),
        (
            "comparison_question: Which is kinder?",
            "comparison_question: ' '",
            10,
            "principles[0].comparison_question",
            "empty",
        ),
        ("tags: [manner]", "tags: manner", 12, "principles[0].tags", "Expected `array`"),
        ("id: advice", "id: insult", 21, "categories.harmful[0].id", "duplicate id 'insult'"),
        (
            "someone., principles: [kind]",
            "someone., principles: [cruel]",
            21,
            "categories.harmful[0].principles",
            "unknown principle 'cruel'",
        ),
    ],
)
def test_an_error_names_file_line_and_field(
    old: str, new: str, line: int, field: str, says: str
) -> None:
    assert old in SMALL
    error = error_of(SMALL.replace(old, new))
    assert (str(error.file), error.line, error.field) == ("c.yaml", line, field)
    assert says in str(error)
    assert str(error).startswith(f"c.yaml:{line}: ")


def test_broken_yaml_names_the_line() -> None:
    error = error_of("format: charter/constitution/1\nname: [a, b\nversion: x\n")
    assert error.line == 3
    assert "not valid YAML" in str(error)


def test_a_key_given_twice_is_an_error() -> None:
    error = error_of(SMALL.replace("name: small", "name: small\nname: large"))
    assert error.line == 3


def test_a_control_character_is_an_error() -> None:
    assert "not valid YAML" in str(error_of("format: \x01\n"))


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words"])
def test_what_is_no_mapping_is_an_error(text: str) -> None:
    assert "expected a YAML mapping" in str(error_of(text))


def test_no_principles_is_an_error() -> None:
    head = SMALL[: SMALL.index("principles:")]
    assert "no principles" in str(error_of(f"{head}principles: []\n"))


def test_an_unknown_principle_lists_the_known_ones() -> None:
    with pytest.raises(DocumentError, match=r"no principle 'cruel'.*kind, honest"):
        document.parse(SMALL).principle("cruel")


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"nowhere\.yaml: cannot be read"):
        document.load(tmp_path / "nowhere.yaml")


def test_a_file_that_is_not_utf8_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "latin.yaml"
    file.write_bytes(SMALL.replace("small", "größe").encode("latin-1"))
    with pytest.raises(DocumentError, match=r"latin\.yaml: cannot be read"):
        document.load(file)


def test_errors_name_the_file_that_was_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(SMALL.replace("weight: 2", "weight: 0"))
    with pytest.raises(DocumentError) as caught:
        document.load(file)
    assert str(caught.value).startswith(f"{file}:11: ")


SAME = {
    "comments": SMALL.replace("weight: 2", "weight: 2  # twice as important"),
    "line breaks": SMALL.replace(
        "text: The assistant is kind.", "text: >\n      The assistant\n      is kind."
    ),
    "quoting": SMALL.replace("name: small", 'name: "small"'),
    "order of keys": SMALL.replace("name: small\n", "") + "name: small\n",
    "order of keys in a principle": SMALL.replace("    title: Be kind\n", "").replace(
        "    weight: 2\n", "    weight: 2\n    title: Be kind\n"
    ),
    "a float for an int": SMALL.replace("weight: 2", "weight: 2.0"),
    "a default spelt out": SMALL.replace("name: small\n", "name: small\ntitle: ''\n"),
}


@pytest.mark.parametrize("what", SAME)
def test_the_digest_does_not_see(what: str) -> None:
    assert SAME[what] != SMALL
    assert document.parse(SAME[what]).digest == document.parse(SMALL).digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("The assistant is kind.", "The assistant is polite."),
        ("weight: 2", "weight: 3"),
        ("tags: [manner]", "tags: [harm]"),
        ("Demeaning someone.", "Demeaning anyone."),
        ('version: "1"', 'version: "2"'),
    ],
)
def test_the_digest_sees_content(old: str, new: str) -> None:
    assert document.parse(SMALL.replace(old, new)).digest != document.parse(SMALL).digest


def test_an_edit_leaves_the_digests_of_other_principles_alone() -> None:
    before = document.parse(SMALL)
    after = document.parse(SMALL.replace("Make it kind.", "Make it kinder."))
    assert before.principle("kind").digest != after.principle("kind").digest
    assert before.principle("honest").digest == after.principle("honest").digest


@pytest.fixture(scope="module")
def shipped() -> Constitution:
    return document.load("default")


def test_the_shipped_document_is_a_whole_one(shipped: Constitution) -> None:
    assert len(shipped.principles) >= 16
    assert len(shipped.categories.harmful) >= 12
    assert len(shipped.categories.harmless) >= 12
    assert all(c.principles for c in shipped.categories.harmful)


def test_the_shipped_principles_differ_in_every_phrasing(shipped: Constitution) -> None:
    for field in ("id", "title", "text", "critique_request", "revision_request"):
        values = [getattr(p, field) for p in shipped.principles]
        assert len(set(values)) == len(values), field
    questions = [p.comparison_question for p in shipped.principles]
    assert len(set(questions)) == len(questions)
    assert all(q.startswith("Which") and q.endswith("?") for q in questions)


def test_the_shipped_document_covers_what_the_labels_draw_from(shipped: Constitution) -> None:
    tags = {tag for p in shipped.principles for tag in p.tags}
    assert {"general", "harm", "manner", "helpful", "honest"} <= tags
