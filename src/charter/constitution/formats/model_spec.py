"""OpenAI's Model Spec: Markdown whose headings carry anchors and levels of authority.

    ## Title {#anchor authority=root|system|developer|user|guideline tags=…}

A section with an authority becomes a clause of that level; the levels are the document's, so a
higher one goes before all below it. Commentary becomes the rationale, examples become examples.
Sections without authority (the overview, definitions, introductions) tell the model nothing to be
tested: they go into the description, word for word, and the definitions into the terms as well.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from charter.constitution.formats.drafting import plain
from charter.constitution.formats.given import Clause, Found, Given, Line, slug
from charter.constitution.formats.sections import Section, fenced, opens, sections, trimmed
from charter.constitution.formats.worked import EXAMPLE, examples

LEVELS = ("root", "system", "developer", "user", "guideline")
MARK = re.compile(r"^ {0,3}#{1,6}[ \t].*\{#[^}\n]*\bauthority=", re.MULTILINE)
"""What no other kind of file has: a heading with an authority."""
_ANCHORED = re.compile(r"(.*?)\s*\{([^{}]*)\}")
_DEFINED = re.compile(r"\*\*([^*:]+):?\*\*:?\s+(\S.*)")
_KEYS = ("authority", "tags")


class _Heading(NamedTuple):
    title: str
    anchor: str
    authority: str
    tags: tuple[str, ...]


def is_it(given: Given) -> bool:
    """Whether a text has a heading with an authority."""
    return MARK.search(given.text) is not None


def read(given: Given) -> Found:
    """All sections.

    Raises:
        DocumentError: an anchor cannot be read, an authority is unknown, an example has no block.
    """
    clauses, context, terms = [], list[str](), dict[str, str]()
    anchors: dict[str, str] = {}
    for section in sections(given):
        heading = _heading(given, section)
        anchors[section.title] = heading.anchor or slug(heading.title)
        if heading.authority:
            above = [anchors[title] for title in section.above]
            clauses.append(Clause(section.line, _fields(given, section, heading, above)))
        else:
            context += [part for part in (_headline(section), section.text) if part]
            if heading.anchor == "definitions":
                terms |= _terms(section)
    used = [level for level in LEVELS if any(c.fields["level"] == level for c in clauses)]
    head = {"levels": used, "terms": terms, "description": "\n\n".join(context)}
    return Found(clauses, {**head, "title": "Model Spec"}, {})


def _heading(given: Given, section: Section) -> _Heading:
    match = _ANCHORED.fullmatch(section.title)
    if match is None:
        if "{#" in section.title:
            given.fail(f"heading {section.title!r}", section.line, "`## Title {#anchor}`")
        return _Heading(section.title, "", "", ())
    anchor, *pairs = match[2].split() or [""]
    if not anchor.startswith("#") or len(anchor) == 1:
        given.fail(f"anchor {match[2]!r}", section.line, "`{#anchor authority=level}`")
    found = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if key not in _KEYS or not value:
            given.fail(f"attribute {pair!r}", section.line, "authority=… or tags=…")
        found[key] = value
    authority = found.get("authority", "")
    if authority and authority not in LEVELS:
        given.fail(f"authority {authority!r}", section.line, ", ".join(LEVELS))
    tags = tuple(filter(None, found.get("tags", "").split(",")))
    return _Heading(match[1].strip(), anchor[1:], authority, tags)


def _headline(section: Section) -> str:
    return f"{'#' * section.depth} {section.title}" if section.depth else ""


def _fields(given: Given, section: Section, heading: _Heading, above: list[str]) -> dict[str, Any]:
    parts = _Parts(given, section.body)
    return {
        "id": heading.anchor,
        "title": heading.title,
        "text": parts.text or plain(heading.title),
        "level": heading.authority,
        "tags": [*above, *heading.tags],
        "rationale": "\n\n".join(parts.commentary),
        "source": f"{given.name}#{heading.anchor}",
        "examples": parts.examples,
        "span": [section.start, section.end],
    }


class _Parts:
    """The body of a clause taken apart: text, commentary, examples."""

    def __init__(self, given: Given, lines: tuple[Line, ...]) -> None:
        self.given, self.lines = given, lines
        self.commentary: list[str] = []
        self.examples: list[dict[str, str]] = []
        kept: list[str] = []
        index = 0
        while index < len(lines):
            text = lines[index].text
            if text.startswith("!!!"):
                index = self._comment(index)
            elif EXAMPLE.fullmatch(text):
                index = self._example(index)
            else:
                end = fenced(lines, index)[0] if opens(text) else index
                kept += [line.text for line in lines[index : end + 1]]
                index = end + 1
        self.text = re.sub(r"\n{3,}", "\n\n", trimmed(kept))

    def _comment(self, index: int) -> int:
        """Take the indented block under `!!! meta`; the index after it."""
        end = index + 1
        while end < len(self.lines) and (
            self.lines[end].text[:1].isspace() or not self.lines[end].text
        ):
            end += 1
        inside = [line.text.removeprefix("    ") for line in self.lines[index + 1 : end]]
        text = trimmed(inside)
        if not text.strip():
            self.given.fail("commentary without text", self.lines[index].number, "indented lines")
        self.commentary.append(text)
        return end

    def _example(self, index: int) -> int:
        """Take an example with its block; the index after it."""
        title = EXAMPLE.fullmatch(self.lines[index].text)
        assert title is not None
        start = index + 1
        while start < len(self.lines) and not self.lines[start].text.strip():
            start += 1
        if start == len(self.lines) or not opens(self.lines[start].text):
            line = self.lines[index].number
            self.given.fail("an example without a block", line, "`~~~xml` below it")
        end, _ = fenced(self.lines, start)
        block = "\n".join(line.text for line in self.lines[start + 1 : end])
        if not block.strip():
            self.given.fail("an empty example", self.lines[start].number, "a conversation")
        self.examples += examples(title[1] or "Example", block)
        return end + 1


def _terms(section: Section) -> dict[str, str]:
    """Paragraphs that open with a word in bold, from their first line."""
    matches = (_DEFINED.fullmatch(line.text) for line in section.body)
    found = {match[1].strip(): plain(match[2]) for match in matches if match}
    return {term: text for term, text in found.items() if term != "Example" and text}
