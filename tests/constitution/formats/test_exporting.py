"""What is exported reads back equal, or the export says what is lost."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from charter.constitution import document as documents
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
from charter.constitution.formats.exporting import TARGETS, export
from charter.constitution.formats.given import Given
from charter.constitution.formats.importing import import_text
from charter.constitution.markdown import from_markdown
from charter.constitution.reading import tidy_line, tidy_prose
from charter.errors import DocumentError

QUICK = settings(max_examples=40, deadline=None, derandomize=True)
MARKS = ["\n", "\n\n", "- ", "# ", "Options:", "Critique:", "<b>", "{{", '"', "\\", "&", "'"]
PRINTABLE = st.characters(exclude_categories=("Cc", "Cs"))
RAW = st.lists(st.one_of(st.sampled_from(MARKS), st.text(PRINTABLE, max_size=9)), max_size=5).map(
    "".join
)
LINE = RAW.map(lambda text: tidy_line(text) or "x")


def written(texts: list[str], seed: int) -> Constitution:
    """A document with something in every field, out of a few texts that hypothesis looks for."""
    draw = Random(seed).choice
    prose = [tidy_prose(text) for text in texts]
    full = [*filter(None, prose), "x"]
    lines = [*filter(None, map(tidy_line, texts)), "x"]
    principles = tuple(
        Principle(
            f"p{number}",
            draw(lines),
            draw(full),
            draw(lines),
            draw(lines),
            draw(lines),
            draw([1.0, 0.25]),
            (draw(lines),),
            ("p0",) if number else (),
            "" if number else draw(["", "law"]),
            (draw(full),),
            draw(prose),
            draw(lines),
            (Example(draw(full), draw(prose), draw(prose), draw(prose)),),
            draw([None, (3, 9)]),
        )
        for number in range(2)
    )
    return Constitution(
        FORMAT,
        draw(lines),
        "1",
        principles,
        draw(lines),
        draw(prose),
        Categories((Category("c0", "", draw(prose), ("p0",)),)),
        ("law",),
        {draw(lines): draw(lines)},
        (Change("1", draw(full)),),
        (Reference("letter.md", "", "0123", ("p0",)),),
    )


DOCUMENTS = st.builds(written, st.lists(RAW, min_size=1, max_size=4), st.integers(0, 10**6))


@QUICK
@given(DOCUMENTS)
def test_any_document_survives_the_forms_that_hold_all(document: Constitution) -> None:
    for target in ("json", "yaml"):
        assert documents.parse(export(document, target).text) == document
    assert from_markdown(export(document, "markdown").text) == document


@QUICK
@given(DOCUMENTS)
def test_any_document_makes_a_page_and_a_prompt(document: Constitution) -> None:
    page, prompt = (export(document, target).text for target in ("html", "system-prompt"))
    reader = Reader()
    reader.feed(page)
    assert {"p0", "p1", "category-c0"} <= reader.ids
    assert reader.open == [] and reader.tags <= ALLOWED
    said = re.sub(r"\s", "", reader.said)
    for principle in document.principles:
        assert re.sub(r"\s", "", principle.text) in said
        assert principle.text in prompt
        assert all(exception in prompt for exception in principle.exceptions)


ALLOWED = frozenset(
    [
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "h3",
        "p",
        "details",
        "summary",
        "nav",
        "ol",
        "li",
        "a",
        "article",
        "span",
        "dl",
        "dt",
        "dd",
        "blockquote",
    ]
)


class Reader(HTMLParser):
    """Collects ids, tags and texts, and keeps count of what is open."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.ids, self.tags, self.open, self.said = set[str](), set[str](), list[str](), ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.ids |= {value for key, value in attrs if key == "id" and value}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said += data


PAIRS = st.lists(st.tuples(LINE, LINE), min_size=1, max_size=4)


@QUICK
@given(PAIRS)
def test_requests_survive_llm_swarm(pairs: list[tuple[str, str]]) -> None:
    tree = {
        "constitutions": [{"critic": a, "revision": b} for a, b in pairs],
        "system_chat": [],
    }
    assert json.loads(through(json.dumps(tree), "llm-swarm")) == tree


@QUICK
@given(PAIRS)
def test_requests_survive_the_prompts_of_the_paper(pairs: list[tuple[str, str]]) -> None:
    tree = {
        f"harmful{number}": {
            "prompt": [f"\n\nCritiqueRequest: {a}\n\nCritique:"],
            "edit_request": f"\n\nRevisionRequest: {b}\n\nRevision:",
        }
        for number, (a, b) in enumerate(pairs)
    }
    assert json.loads(through(json.dumps(tree), "bai")) == tree


def through(text: str, name: str) -> str:
    """A file that was imported and exported again, without loss."""
    return export(import_text(Given("x.json", text), name).document, name).text


def test_the_files_of_others_come_back_as_they_were(files: dict[str, str]) -> None:
    for name in ("bai", "bai-comparisons", "llm-swarm"):
        assert json.loads(through(files[name], name)) == json.loads(files[name])


def test_a_format_that_cannot_hold_all_is_refused() -> None:
    shipped = documents.load("default")
    for target in ("llm-swarm", "bai", "bai-comparisons"):
        with pytest.raises(DocumentError, match=f"{target} cannot hold .* more of 'charter-defa"):
            export(shipped, target)
        lossy = export(shipped, target, lossy=True)
        assert "categories" in lossy.lost
        assert f"principles.{shipped.principles[0].id}.title" in lossy.lost
        assert len(import_text(Given("x", lossy.text), target).document.principles) == 19


def test_what_is_lost_is_named(files: dict[str, str]) -> None:
    found = import_text(Given("x.json", files["bai"])).document
    first, second = found.principles
    changed = replace(found, principles=(first, replace(second, weight=2.0)))
    assert export(changed, "bai", lossy=True).lost == ("principles.harmful1.weight",)


def test_every_target_takes_every_import(files: dict[str, str]) -> None:
    for name, text in files.items():
        document = import_text(Given("x", text), name).document
        for target in TARGETS:
            assert export(document, target, lossy=True).text


def test_a_prompt_puts_the_highest_level_first(files: dict[str, str]) -> None:
    text = files["model-spec"].replace("authority=root", "authority=user")
    prompt = export(import_text(Given("x", text)).document, "system-prompt").text
    assert "levels: system, user, guideline" in prompt
    assert prompt.index("1. Keep secrets (level: system)") < prompt.index("2. Do no harm (level")
    assert "- Agent: what acts for someone." in prompt
    assert "Rely" not in prompt and "locksmith" not in prompt
