"""YAML and Markdown hold the same: whatever document is written in either is read back equal."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charter.constitution import document, markdown
from charter.constitution.clauses import (
    FORMAT,
    Categories,
    Category,
    Change,
    Constitution,
    Example,
    Principle,
    Reference,
)
from charter.constitution.editing import to_yaml
from charter.constitution.reading import forbidden, tidy_line, tidy_prose
from charter.errors import DocumentError

# Marks of both syntaxes are drawn often, since those are what could be taken for layout.
MARKS = st.sampled_from(
    ["#", "## ", "---", "- **Weight:** 2", "- ", "\\", "\\#", ":", "{#a}", ",", "'", '"', "|", "&a"]
)
PIECES = st.one_of(MARKS, st.text(max_size=8), st.sampled_from([" ", "\n", "\n\n", "\n  ", "\t"]))
RAW = st.lists(PIECES, max_size=8).map("".join).filter(lambda text: not forbidden(tidy_prose(text)))
PROSE = RAW.map(tidy_prose)
LINE = RAW.map(tidy_line).filter(lambda text: not forbidden(text))
IDS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,6}", fullmatch=True)


def some(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return texts.filter(bool)


def several(texts: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(some(texts), max_size=3).map(tuple)


@st.composite
def principles(
    draw: st.DrawFn, id: str, lower: tuple[str, ...], levels: tuple[str, ...]
) -> Principle:
    start = draw(st.integers(0, 99))
    return Principle(
        id,
        draw(some(LINE)),
        draw(some(PROSE)),
        draw(some(LINE)),
        draw(some(LINE)),
        draw(some(LINE)),
        draw(st.floats(0.001, 1e6)),
        draw(several(LINE)),
        draw(st.lists(st.sampled_from(lower), max_size=2).map(tuple)) if lower else (),
        draw(st.sampled_from(["", *levels])) if not lower else "",
        draw(several(PROSE)),
        draw(PROSE),
        draw(LINE),
        draw(st.lists(st.builds(Example, some(PROSE), PROSE, PROSE, PROSE), max_size=2).map(tuple)),
        draw(st.sampled_from([None, (start, start + 5)])),
    )


@st.composite
def constitutions(draw: st.DrawFn) -> Constitution:
    ids = draw(st.lists(IDS, min_size=1, max_size=3, unique=True))
    levels = draw(st.lists(some(LINE), max_size=2, unique=True).map(tuple))
    drawn = [draw(principles(id, tuple(ids[:n]), levels)) for n, id in enumerate(ids)]
    names = draw(st.lists(IDS, max_size=4, unique=True))
    cited = st.lists(st.sampled_from(ids), max_size=2).map(tuple)
    categories = [Category(name, draw(LINE), draw(PROSE), draw(cited)) for name in names]
    changes = st.builds(
        Change, some(LINE), some(PROSE), st.sampled_from(["note", "drop"]), cited, LINE
    )
    made = st.builds(Reference, LINE, LINE, LINE, cited)
    return Constitution(
        FORMAT,
        draw(some(LINE)),
        draw(some(LINE)),
        tuple(drawn),
        draw(LINE),
        draw(PROSE),
        Categories(tuple(categories[:2]), tuple(categories[2:])),
        levels,
        draw(st.dictionaries(some(LINE), LINE, max_size=2)),
        draw(st.lists(changes, max_size=2).map(tuple)),
        draw(st.lists(made, max_size=1).map(tuple)),
    )


QUICK = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@QUICK
@given(constitutions())
def test_any_document_survives_both_forms(written: Constitution) -> None:
    assert document.normal(written) == written
    assert document.parse(to_yaml(written)) == written
    assert markdown.from_markdown(markdown.to_markdown(written)) == written


@QUICK
@given(st.lists(some(LINE), max_size=5).map(tuple))
def test_a_list_on_a_line_is_taken_apart_again(items: tuple[str, ...]) -> None:
    from_line = markdown.markdown_reader.split_list(markdown.join_list(items))
    assert tuple(from_line) == items


def test_the_shipped_document_survives_both_forms() -> None:
    shipped = document.load("default")
    for read_back in (
        document.parse(to_yaml(shipped)),
        markdown.from_markdown(markdown.to_markdown(shipped)),
    ):
        assert read_back == shipped
        assert read_back.digest == shipped.digest


PAGE = """\
---
format: charter/constitution/1
name: small
version: "1"
levels: [law, taste]
---
# A small one

What it is for.

## Principles

### Be kind {#kind}

The assistant is kind.
\\# no heading

- **Critique request:** Say where it is unkind.
- **Revision request:** Make it kind.
- **Comparison question:** Which is kinder?
- **Weight:** 2
- **Tags:** manner, a\\, b
- **Level:** law
- **Exception:** satire
- **Exception:** a quotation,
  if it is marked
- **Rationale:** People stay.
- **Span:** 3-9
- **Example:** Am I a fool?
- **Good answer:** No.
- **Example:** And now?

## Harmful categories

### Insults {#insult}

Demeaning someone.

- **Principles:** kind

## Terms

### kind

Well-meaning.

## Changelog

### 1

First.

- **Date:** 2026-01-02
"""


def test_a_page_is_read() -> None:
    found = markdown.from_markdown(PAGE)
    kind = found.principle("kind")
    assert (found.title, found.description, found.levels) == (
        "A small one",
        "What it is for.",
        ("law", "taste"),
    )
    assert kind.text == "The assistant is kind.\n# no heading"
    assert (kind.weight, kind.tags, kind.level, kind.span) == (
        2.0,
        ("manner", "a, b"),
        "law",
        (3, 9),
    )
    assert kind.exceptions == ("satire", "a quotation,\nif it is marked")
    assert kind.examples == (Example("Am I a fool?", "No."), Example("And now?"))
    assert found.categories.harmful[0].principles == ("kind",)
    assert found.terms == {"kind": "Well-meaning."}
    assert found.changelog == (Change("1", "First.", date="2026-01-02"),)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("---\nformat", "format", 1, "no front matter"),
        ("name: small", "nome: small", 3, "'nome' in the front matter"),
        ("name: small", "name: [small", 4, "not valid YAML"),
        ('version: "1"', "version: 1", 4, "Expected `str`, got `int`"),
        ("## Principles", "## Princples", 12, "unknown section 'Princples'"),
        ("## Principles\n", "", 13, "a heading outside a section"),
        ("{#kind}", "", 14, "no id in 'Be kind'"),
        ("{#kind}", "{#Kind}", 14, "bad id 'Kind'"),
        ("**Weight:** 2", "**Weight:** two", 22, "weight 'two'"),
        ("**Weight:** 2", "**Weight:** 0", 22, "weight 0.0"),
        ("**Span:** 3-9", "**Span:** 9-3", 29, "span (9, 3)"),
        ("**Level:** law", "**Level:** whim", 24, "unknown level 'whim'"),
        ("**Level:** law", "**Weight:** 3", 24, "field 'Weight' twice"),
        ("**Level:** law", "**Colour:** red", 24, "unknown field 'Colour'"),
        ("  if it is", "if it is", 27, "text after a field"),
        ("- **Example:** Am I a fool?\n", "", 30, "'Good answer' of no example"),
        ("- **Critique request:** Say where it is unkind.\n", "", 14, "missing required field"),
        ("**Principles:** kind", "**Principles:** cruel", 40, "unknown principle 'cruel'"),
        ("## Terms", "## Principles", 42, "section 'Principles' twice"),
        ("### 1\n\nFirst.", "First.", 48, "text between a section"),
    ],
)
def test_an_error_names_the_line(old: str, new: str, line: int, says: str) -> None:
    assert old in PAGE
    with pytest.raises(DocumentError) as caught:
        markdown.from_markdown(PAGE.replace(old, new, 1), file="c.md")
    assert says in str(caught.value)
    assert (caught.value.file, caught.value.line) == ("c.md", line)
