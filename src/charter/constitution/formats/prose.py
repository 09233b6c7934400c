"""Long prose: each section becomes a clause, with the place of its words in the text.

A section of prose is seldom one testable rule. What comes out here is the frame to work in: every
later clause can cite it, and `proposing` asks a model for testable principles section by section.
"""

from __future__ import annotations

from itertools import groupby

from charter.constitution.formats.given import Clause, Found, Given, shortened, slug
from charter.constitution.formats.sections import Section, sections


def read(given: Given) -> Found:
    """Sections as clauses; without headings, paragraphs.

    The one heading of the highest kind, if it comes first, is the title, and the text under it the
    description. Sections that hold nothing but other sections are named in the tags of those.
    """
    parts = sections(given)
    if len(parts) == 1:
        return Found(_paragraphs(given), {}, {})
    top = _title(parts)
    opening = [part.text for part in parts[: 2 if top else 1] if part.text]
    rest = [part for part in parts[1:] if part is not top and part.text]
    clauses = [_clause(given, part, top.title if top else "") for part in rest]
    head = {"title": top.title if top else "", "description": "\n\n".join(opening)}
    return Found(clauses, head, {})


def _title(parts: list[Section]) -> Section | None:
    """The first heading, if no other is as high."""
    first = parts[1]
    alone = all(part.depth > first.depth for part in parts[2:])
    return first if alone and len(parts) > 2 else None


def _clause(given: Given, part: Section, top: str) -> Clause:
    above = [slug(title) for title in part.above if title != top]
    fields = {
        "title": part.title,
        "text": part.text,
        "tags": [tag for tag in above if tag],
        "source": f"{given.name}, “{shortened(part.title)}”",
        "span": [part.start, part.end],
    }
    return Clause(part.line, fields)


def _paragraphs(given: Given) -> list[Clause]:
    clauses = []
    for blank, group in groupby(given.lines(), key=lambda line: not line.text.strip()):
        lines = list(group)
        if not blank:
            fields = {
                "text": "\n".join(line.text for line in lines),
                "source": f"{given.name}, line {lines[0].number}",
                "span": [lines[0].start, lines[-1].start + len(lines[-1].text)],
            }
            clauses.append(Clause(lines[0].number, fields))
    return clauses
