"""Plain lists: one principle a line, Markdown bullets, or a JSON array of texts.

In a list with bullets, a line that is indented or follows a bullet at once goes on with it;
headings become the title and, below it, tags; other text goes into the description.
"""

from __future__ import annotations

import re
from typing import Any

from charter.constitution.formats.given import Clause, Found, Given, slug
from charter.constitution.formats.json_text import JsonText
from charter.constitution.formats.sections import bare

BULLET = re.compile(r"\s{0,3}(?:[-*+•]|\d{1,3}[.)])\s+(\S.*)")
HEADING = re.compile(r"(#{1,6})\s+(\S.*)")


def is_json(tree: Any) -> bool:
    """Whether a JSON tree is an array of texts."""
    return isinstance(tree, list) and bool(tree) and all(isinstance(item, str) for item in tree)


def read_json(source: JsonText) -> Found:
    """One clause for each text."""
    clauses = []
    for node in source.root.items():
        if not node.text().strip():
            node.fail("empty", "some text")
        clauses.append(Clause(node.line, {"text": node.text()}))
    return Found(clauses, {}, {})


def read(given: Given) -> Found:
    """One clause for each bullet, or for each line where there are none."""
    bullets = any(BULLET.fullmatch(line.text) for line in given.lines())
    reader = _Reader(bullets)
    for line in given.lines():
        reader.take(line.number, line.text)
    head = {"title": reader.title, "description": "\n".join(reader.prose)}
    return Found(reader.clauses, head, {})


class _Reader:
    """Takes line after line."""

    def __init__(self, bullets: bool) -> None:
        self.bullets = bullets
        self.clauses: list[Clause] = []
        self.prose: list[str] = []
        self.title, self.tags = "", list[str]()
        self.after = ""  # what the line before was: an item, a blank line below one, or neither

    def take(self, number: int, text: str) -> None:
        """One more line."""
        heading, bullet = HEADING.fullmatch(text), BULLET.fullmatch(text)
        if heading:
            self._heading(bare(heading[2]))
        elif not text.strip():
            self.after = "blank" if self.after else ""
            self.prose.append("")
        elif bullet or not self.bullets:
            said = bullet[1] if bullet else text.strip()
            self.clauses.append(Clause(number, {"text": said, "tags": list(self.tags)}))
            self.after = "item"
        elif self.after == "item" or (self.after and text[:1].isspace()):
            self.clauses[-1].fields["text"] += "\n" + text.strip()
            self.after = "item"
        else:
            self.after = ""
            self.prose.append(text)

    def _heading(self, text: str) -> None:
        self.after = ""
        if not self.title and not self.clauses:
            self.title = text
        else:
            self.tags = [slug(text)] if slug(text) else []
