"""YAML and Markdown hold the same: whatever document is written in either is read back equal."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.constitution import document, markdown
from charter.constitution.clauses import (
    FORMAT,
    Categories,
    Category,
    Change,
    ChangeKind,
    Constitution,
    Example,
    Principle,
    Reference,
)
from charter.constitution.markdown_reader import split_list
from charter.constitution.reading import forbidden, tidy_line, tidy_prose
from charter.constitution.yaml_writer import to_yaml
from charter.errors import DocumentError

# Marks of both syntaxes are drawn often, since those are what could be taken for layout.
MARKS = st.sampled_from(
    ["#", "## ", "---", "- **Weight:** 2", "- ", "\\", "\\#", ":", "{#a}", ",", "'", '"', "|", "&a"]
)
PIECES = st.one_of(MARKS, st.text(max_size=8), st.sampled_from([" ", "\n", "\n\n", "\n  ", "\t"]))
RAW = st.lists(PIECES, max_size=8).map("".join).filter(lambda text: not forbidden(tidy_prose(text)))
LINE = RAW.map(tidy_line)
T = TypeVar("T")


class Writer:
    """Makes documents of every shape out of a few given texts, which hypothesis looks for."""

    def __init__(self, texts: list[str], seed: int) -> None:
        self.texts, self.source = texts, Random(seed)

    def prose(self) -> str:
        return tidy_prose(self.source.choice(self.texts))

    def line(self) -> str:
        return tidy_line(self.source.choice(self.texts))

    def some(self, make: Callable[[], T], most: int = 2) -> tuple[T, ...]:
        return tuple(make() for _ in range(self.source.randint(0, most)))

    def lines(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(filter(None, self.some(self.line, 3))))

    def example(self) -> Example:
        return Example(self.prose() or "x", self.prose(), self.prose(), self.prose())

    def principle(self, number: int, levels: tuple[str, ...]) -> Principle:
        title, critique, revision, question = (self.line() or "x" for _ in range(4))
        return Principle(
            f"p{number}",
            title,
            self.prose() or "x",
            critique,
            revision,
            question,
            self.source.choice([1.0, 2.0, 0.7, 1e-5, 12345.678]),
            self.lines(),
            tuple(f"p{k}" for k in range(number) if self.source.random() < 0.5),
            self.source.choice(["", *levels]) if number == 0 else "",
            tuple(filter(None, self.some(self.prose))),
            self.prose(),
            self.line(),
            self.some(self.example),
            self.source.choice([None, (3, 9)]),
        )

    def constitution(self) -> Constitution:
        levels = self.lines()
        drawn = tuple(self.principle(n, levels) for n in range(self.source.randint(1, 3)))
        ids = tuple(p.id for p in drawn)
        cited = self.source.choice([(), ids])
        categories = [Category(f"c{n}", self.line(), self.prose(), cited) for n in range(4)]
        kind: ChangeKind = self.source.choice(["note", "drop"])
        change = Change(self.line() or "1", self.prose() or "x", kind, cited, self.line())
        return Constitution(
            FORMAT,
            self.line() or "x",
            self.line() or "1",
            drawn,
            self.line(),
            self.prose(),
            Categories(tuple(categories[:2]), tuple(categories[2:])),
            levels,
            {term: self.line() for term in self.lines()},
            self.source.choice([(), (change, change)]),
            self.source.choice([(), (Reference("x", self.line(), "y", cited),)]),
        )


DOCUMENTS = st.builds(
    lambda texts, seed: Writer(texts, seed).constitution(),
    st.lists(RAW, min_size=1, max_size=4),
    st.integers(0, 10**6),
)
QUICK = settings(max_examples=60, deadline=None, derandomize=True)


@QUICK
@given(DOCUMENTS)
def test_any_document_survives_both_forms(written: Constitution) -> None:
    assert document.normal(written) == written
    assert document.parse(to_yaml(written)) == written
    assert markdown.from_markdown(markdown.to_markdown(written)) == written


@QUICK
@given(st.lists(LINE.filter(bool), max_size=5).map(tuple))
def test_a_list_on_a_line_is_taken_apart_again(items: tuple[str, ...]) -> None:
    from_line = split_list(markdown.join_list(items))
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
        ("## Principles", "## Princples", 11, "unknown section 'Princples'"),
        ("## Principles\n", "", 12, "a heading outside a section"),
        ("{#kind}", "", 13, "no id in 'Be kind'"),
        ("{#kind}", "{#Kind}", 13, "bad id 'Kind'"),
        ("**Weight:** 2", "**Weight:** two", 21, "weight 'two'"),
        ("**Weight:** 2", "**Weight:** 0", 21, "weight 0.0"),
        ("**Span:** 3-9", "**Span:** 9-3", 28, "span (9, 3)"),
        ("**Level:** law", "**Level:** whim", 23, "unknown level 'whim'"),
        ("**Level:** law", "**Weight:** 3", 23, "field 'Weight' twice"),
        ("**Level:** law", "**Colour:** red", 23, "unknown field 'Colour'"),
        ("  if it is", "if it is", 26, "text after a field"),
        ("- **Example:** Am I a fool?\n", "", 29, "'Good answer' of no example"),
        ("- **Critique request:** Say where it is unkind.\n", "", 13, "missing required field"),
        ("**Principles:** kind", "**Principles:** cruel", 39, "unknown principle 'cruel'"),
        ("## Terms", "## Principles", 41, "section 'Principles' twice"),
        ("### 1\n\nFirst.", "First.", 47, "text between a section"),
    ],
)
def test_an_error_names_the_line(old: str, new: str, line: int, says: str) -> None:
    assert old in PAGE
    with pytest.raises(DocumentError) as caught:
        markdown.from_markdown(PAGE.replace(old, new, 1), file="c.md")
    assert says in str(caught.value)
    assert (caught.value.file, caught.value.line) == ("c.md", line)
