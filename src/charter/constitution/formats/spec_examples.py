"""The footnotes of a Model Spec that hold further examples, as JSON lines.

    {"id": "zwhy", "markdown": "Examples for [^zwhy] in TITLE:\\n\\n**Example**: …"}

By itself such a file gives one clause for each title, with nothing but its examples. Given beside a
Model Spec, each row goes to the clause whose text has its footnote.
"""

from __future__ import annotations

import json
import re

from charter.constitution.formats.given import Clause, Found, Given, Line
from charter.constitution.formats.sections import fenced, opens
from charter.constitution.formats.worked import EXAMPLE, examples
from charter.errors import DocumentError

_TOP = re.compile(r"Examples? for \[\^([^\]\s]+)\] in (.+?):?")


class Row:
    """One line of the file: the footnote, the title of its section, and its examples."""

    def __init__(self, given: Given, line: Line) -> None:
        try:
            tree = json.loads(line.text)
        except (ValueError, RecursionError) as error:
            given.fail(f"not JSON: {error}", line.number, "one JSON object a line")
        fits = isinstance(tree, dict) and set(tree) == {"id", "markdown"}
        if not (fits and all(isinstance(value, str) for value in tree.values())):
            given.fail("another object", line.number, '{"id": …, "markdown": …}')
        self.number, self.id = line.number, str(tree["id"])
        inner = list(Given(given.file, tree["markdown"]).lines())
        top = _TOP.fullmatch(inner[0].text.strip())
        if top is None:
            given.fail("no title", line.number, "`Examples for [^id] in TITLE:`")
        self.title = top[2]
        self.examples = _examples(inner)


def is_it(given: Given) -> bool:
    """Whether the first line is such a row."""
    first = next((line.text for line in given.lines() if line.text.strip()), "")
    try:
        tree = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(tree, dict) and "markdown" in tree


def rows(given: Given) -> list[Row]:
    """All rows.

    Raises:
        DocumentError: with the line.
    """
    return [Row(given, line) for line in given.lines() if line.text.strip()]


def read(given: Given) -> Found:
    """One clause for each title."""
    clauses: dict[str, Clause] = {}
    for row in rows(given):
        clause = clauses.setdefault(
            row.title, Clause(row.number, {"title": row.title, "text": row.title, "examples": []})
        )
        clause.fields["examples"] += row.examples
    return Found(list(clauses.values()), {}, {})


def joined(found: Found, given: Given) -> Found:
    """A Model Spec with the examples of this file beside those it has.

    Raises:
        DocumentError: a row has a footnote that no text of the Model Spec has.
    """
    context = found.head.get("description", "")
    left_out = dict(found.left_out)
    for row in rows(given):
        mark = f"[^{row.id}]"
        owner = next((c for c in found.clauses if mark in c.fields["text"]), None)
        if owner is not None:
            owner.fields["examples"] += row.examples
        elif mark in context:
            reason = "examples of sections without authority"
            left_out[reason] = left_out.get(reason, 0) + len(row.examples)
        else:
            raise DocumentError(
                f"footnote {row.id!r} is nowhere in the Model Spec",
                file=given.file,
                line=row.number,
                expected="the examples of this edition",
            )
    return found._replace(left_out=left_out)


def _examples(lines: list[Line]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    title, index = "Example", 0
    while index < len(lines):
        heading = EXAMPLE.fullmatch(lines[index].text)
        if heading:
            title = heading[1] or "Example"
        elif opens(lines[index].text):
            start, (index, closed) = index, fenced(lines, index)
            inside = lines[start + 1 : index if closed else index + 1]
            block = "\n".join(line.text for line in inside)
            found += examples(title, block) if block.strip() else []
        index += 1
    return found
