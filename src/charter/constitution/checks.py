"""Checks across the fields of a document, which types cannot make.

Yields every problem it finds; whether the first one stops the work or all are listed is for the
caller to say.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from charter.constitution.clauses import FORMAT, ID_PATTERN, Constitution, Principle
from charter.constitution.priorities import edges
from charter.constitution.reading import Keys

_ID = re.compile(ID_PATTERN)
_FORMS = ("title", "text", "critique_request", "revision_request", "comparison_question")


class Problem(NamedTuple):
    """What is wrong, what was expected, and the path where it stands."""

    code: str
    says: str
    expected: str
    keys: Keys


def problems(document: Constitution) -> Iterator[Problem]:
    """Everything about a document of the right types that does not hold together."""
    yield from _whole(document)
    ids = [p.id for p in document.principles]
    repeated, known = _repeated(ids), set(ids)
    for index, principle in enumerate(document.principles):
        where = ("principles", index)
        if principle.id in repeated:
            yield _duplicate(principle.id, where)
        yield from _alone(principle, where)
        yield from _among(principle, document, known, where)
    yield from _categories(document, known)
    yield from cycle(document)


def _whole(document: Constitution) -> Iterator[Problem]:
    if document.format != FORMAT:
        yield Problem("format", f"unknown format {document.format!r}", repr(FORMAT), ("format",))
    if not document.principles:
        yield Problem("schema", "no principles", "at least one principle", ("principles",))
    for field in ("name", "version"):
        if not getattr(document, field):
            yield Problem("schema", "empty", "some text", (field,))
    for level in sorted(_repeated(document.levels)):
        yield Problem("level", f"level {level!r} twice", "each level once", ("levels",))
    for field in ("levels", "terms"):
        if not all(getattr(document, field)):
            yield Problem("schema", "empty name", "some text", (field,))
    for index, change in enumerate(document.changelog):
        if not (change.version and change.note):
            where = ("changelog", index)
            yield Problem("schema", "entry without version or note", "both", where)


def _alone(principle: Principle, where: tuple[int | str, ...]) -> Iterator[Problem]:
    if not _ID.fullmatch(principle.id):
        expected = "lower-case letters, digits, - and _"
        yield Problem("id", f"bad id {principle.id!r}", expected, (*where, "id"))
    if not 0 < principle.weight < math.inf:
        says = f"weight {principle.weight!r}"
        yield Problem("weight", says, "a number above 0", (*where, "weight"))
    for field in _FORMS:
        if not getattr(principle, field):
            yield Problem("missing-form", "empty", "some text", (*where, field))
    for field in ("tags", "exceptions"):
        if not all(getattr(principle, field)):
            yield Problem("schema", "empty entry", "some text", (*where, field))
    for index, example in enumerate(principle.examples):
        if not example.prompt:
            spot = (*where, "examples", index, "prompt")
            yield Problem("schema", "empty", "some text", spot)
    if principle.span is not None and not 0 <= principle.span[0] <= principle.span[1]:
        yield Problem("span", f"span {principle.span}", "0 <= start <= end", (*where, "span"))


def _among(
    principle: Principle, document: Constitution, known: set[str], where: tuple[int | str, ...]
) -> Iterator[Problem]:
    for other in principle.over:
        if other not in known:
            says = f"unknown principle {other!r}"
            yield Problem("reference", says, "an id of this document", (*where, "over"))
    if principle.level and principle.level not in document.levels:
        expected = ", ".join(document.levels) or "the levels to be listed in the document"
        says = f"unknown level {principle.level!r}"
        yield Problem("level", says, expected, (*where, "level"))


def _categories(document: Constitution, known: set[str]) -> Iterator[Problem]:
    both = [*document.categories.harmful, *document.categories.harmless]
    repeated = _repeated([c.id for c in both])
    for half in ("harmful", "harmless"):
        for index, category in enumerate(getattr(document.categories, half)):
            where = ("categories", half, index)
            if category.id in repeated:
                yield _duplicate(category.id, where)
            if not _ID.fullmatch(category.id):
                expected = "lower-case letters, digits, - and _"
                yield Problem("id", f"bad id {category.id!r}", expected, (*where, "id"))
            for cited in category.principles:
                if cited not in known:
                    says = f"unknown principle {cited!r}"
                    yield Problem("reference", says, "an id above", (*where, "principles"))


def cycle(document: Constitution) -> Iterator[Problem]:
    """One problem a circle of priorities, `over` and levels taken together."""
    index = {p.id: number for number, p in enumerate(document.principles)}
    for circle in _circles(edges(document)):
        first = min(circle, key=lambda id: index[id])
        turned = circle[circle.index(first) :] + circle[: circle.index(first)]
        says = "priorities go in a circle: " + " over ".join([*turned, first])
        keys = ("principles", index[first], "over")
        yield Problem("priority-cycle", says, "no circle", keys)


def _circles(below: dict[str, list[str]]) -> list[list[str]]:
    """Circles met by a depth-first walk, named by their principles; none if there is none."""
    state: dict[str, int] = {}
    found: list[list[str]] = []
    for start in below:
        if start not in state:
            _walk(start, below, state, found)
    named = [[node for node in circle if " " not in node] for circle in found]
    return [circle for circle in named if circle]


def _walk(
    start: str, below: dict[str, list[str]], state: dict[str, int], found: list[list[str]]
) -> None:
    """Depth first without recursion, since a document may chain a thousand clauses."""
    path, todo = [start], [iter(below[start])]
    state[start] = 1
    while todo:
        node = next(todo[-1], None)
        if node is None:
            state[path.pop()] = 2
            todo.pop()
        elif node not in state:
            state[node] = 1
            path.append(node)
            todo.append(iter(below[node]))
        elif state[node] == 1:
            found.append(path[path.index(node) :])


def _duplicate(id: str, where: tuple[int | str, ...]) -> Problem:
    return Problem("duplicate-id", f"duplicate id {id!r}", "an id used once", (*where, "id"))


def _repeated(ids: Sequence[str]) -> set[str]:
    return {id for id, count in Counter(ids).items() if count > 1}
