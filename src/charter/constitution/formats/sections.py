"""Markdown cut at its headings, each part with its place in the file.

Owns where a section begins and ends: headings inside code blocks are none. Knows nothing of what
the sections say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from charter.constitution.formats.given import Given, Line

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(\S.*)")
_EMPTY = re.compile(r" {0,3}(?:-{3,}|\*{3,}|_{3,})?")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


class Section(NamedTuple):
    """A heading with the text under it, down to the next heading of any depth.

    Attributes:
        line: the heading's line; of text before the first heading the first line.
        depth: number of `#`; 0 for text before the first heading.
        title: the heading without marks, as it is written.
        start: offset of the heading's first character.
        end: offset after the section's last character.
        body: the lines under the heading.
        above: titles of the headings that it lies under, outermost first.
    """

    line: int
    depth: int
    title: str
    start: int
    end: int
    body: tuple[Line, ...]
    above: tuple[str, ...]

    @property
    def text(self) -> str:
        """The body without the empty lines and rules around it."""
        return trimmed(line.text for line in self.body)


def sections(given: Given) -> list[Section]:
    """All sections, in order; the first may have no heading.

    Raises:
        DocumentError: a code block has no end, so nobody can say where the headings are.
    """
    cuts: list[tuple[Line, int, str]] = []
    bodies: list[list[Line]] = [[]]
    for line, heading in _marked(given):
        if heading is None:
            bodies[-1].append(line)
        else:
            cuts.append((line, len(heading[1]), bare(heading[2])))
            bodies.append([])
    first = Line(1, 0, "")
    heads = [(first, 0, ""), *cuts]
    ends = [*(line.start for line, _, _ in cuts), len(given.text)]
    above: list[tuple[int, str]] = []
    found = []
    for (line, depth, title), end, body in zip(heads, ends, bodies, strict=True):
        above = [pair for pair in above if pair[0] < depth]
        titles = tuple(name for _, name in above)
        found.append(Section(line.number, depth, title, line.start, end, tuple(body), titles))
        above += [(depth, title)] if depth else []
    return found


def bare(title: str) -> str:
    """A title without the marks that may close a heading."""
    return title.rstrip().rstrip("#").rstrip() or title.strip()


def trimmed(lines: Iterable[str]) -> str:
    """Lines as a text, without empty lines and horizontal rules at its ends."""
    kept = [line.rstrip() for line in lines]
    said = [index for index, line in enumerate(kept) if not _EMPTY.fullmatch(line)]
    return "\n".join(kept[said[0] : said[-1] + 1]) if said else ""


def fenced(lines: Sequence[Line], start: int) -> tuple[int, bool]:
    """Index of the line that closes the code block opened at `start`, and whether there is one."""
    opening = _FENCE.fullmatch(lines[start].text)
    assert opening is not None, "no code block starts here"
    for index in range(start + 1, len(lines)):
        closing = _FENCE.fullmatch(lines[index].text)
        if closing and closing[1].startswith(opening[1]) and not closing[2].strip():
            return index, True
    return len(lines) - 1, False


def opens(text: str) -> bool:
    """Whether a line outside a code block opens one."""
    match = _FENCE.fullmatch(text)
    return match is not None and not (match[1][0] == "`" and "`" in match[2])


def _marked(given: Given) -> Iterator[tuple[Line, re.Match[str] | None]]:
    """Every line, with the heading that it is, if it is one."""
    lines = list(given.lines())
    inside = -1
    for index, line in enumerate(lines):
        if index > inside and opens(line.text):
            inside, closed = fenced(lines, index)
            if not closed:
                given.fail("a code block without an end", line.number, "a line that closes it")
        yield line, None if index <= inside else _HEADING.fullmatch(line.text)
