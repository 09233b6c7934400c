"""Reading a constitution: found, parsed, checked, and put together where it is an overlay.

Owns which file a name means, and the rule that a document that does not hold together is never
handed out. What a document holds is in `clauses`; this module passes those names on.
"""

from __future__ import annotations

from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from charter import yaml_tree
from charter.constitution import markdown_reader, overlay
from charter.constitution.checks import problems
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
from charter.constitution.overlay import OVERLAY_FORMAT, Overlay
from charter.constitution.reading import Keys, Place, Tidy, typed
from charter.errors import DocumentError
from charter.yaml_tree import line_of

DEFAULT = "default"
DEEPEST = 8
"""Overlays on overlays; more is a circle, or nobody can follow it."""


class Source(NamedTuple):
    """A document, and for each principle the file and line it stands at (maybe in the base)."""

    document: Constitution
    place: Place
    lines: dict[str, tuple[str, int]]


def load(source: str | Path) -> Constitution:
    """Read a constitution.

    Args:
        source: a YAML, JSON or Markdown (`.md`) file, or the name of one that ships with the
            package (`default`). An overlay is applied to its base.

    Raises:
        DocumentError: with file, line and field, if it is missing or not valid.
    """
    return read(source).document


def parse(text: str, *, file: str = "<constitution>", markdown: bool = False) -> Constitution:
    """Read a constitution from text; `file` names it in errors."""
    return _parsed(text, file, 0, markdown).document


def read(source: str | Path, *, depth: int = 0) -> Source:
    """Read a constitution and remember where its clauses stand; otherwise as `load`."""
    path = locate(source)
    return _parsed(contents(path), str(path), depth, is_markdown(path))


def normal(document: Constitution) -> Constitution:
    """The same document with tidy white space, as reading it from a file would give it.

    Raises:
        DocumentError: it does not hold together, or holds control characters.
    """
    place = Place(document.name, lambda keys: None)
    return _accepted(msgspec.json.decode(msgspec.json.encode(document)), place, "").document


def locate(source: str | Path) -> Path:
    """The file that a name means."""
    named = resources.files("charter.constitution") / "library" / f"{source}.yaml"
    if not Path(source).suffix and _is_file(Path(str(named))):
        return Path(str(named))
    return Path(source)


def contents(path: Path) -> str:
    """The text of a file.

    Raises:
        DocumentError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise DocumentError(f"cannot be read: {error}", file=str(path)) from error


def tree(text: str, file: str, *, markdown: bool = False) -> tuple[Any, Place]:
    """What a text holds, as builtins, with the place to name in errors.

    Raises:
        DocumentError: with file and line, if it cannot be parsed.
    """
    raw: Any
    if markdown:
        raw, lines = markdown_reader.parse(text, file)
        place = Place(file, lines)
    else:
        raw = yaml_tree.parse(text, file=file, kind=DocumentError)
        place = Place(file, partial(line_of, raw))
    return Tidy(place)(raw), place


def is_markdown(file: str | Path) -> bool:
    """By its ending; everything else is YAML, of which JSON is a part."""
    return Path(file).suffix.lower() in (".md", ".markdown")


def _parsed(text: str, file: str, depth: int, markdown: bool) -> Source:
    plain, place = tree(text, file, markdown=markdown)
    if plain.get("format") == OVERLAY_FORMAT:
        return _overlaid(typed(plain, Overlay, place), place, depth)
    return _accepted(plain, place, file)


def _accepted(plain: Any, place: Place, file: str) -> Source:
    document = typed(plain, Constitution, place)
    for problem in problems(document):
        place.fail(problem.says, problem.expected, problem.keys)
    lines = {p.id: (file, place.line(("principles", i))) for i, p in enumerate(document.principles)}
    return Source(document, place, lines)


def _overlaid(written: Overlay, place: Place, depth: int) -> Source:
    if depth >= DEEPEST:
        place.fail("overlays go round in a circle", f"at most {DEEPEST} levels", ("base",))
    base = _other(written.base, place, ("base",), depth)
    included = [
        _other(name, place, ("includes", number), depth)
        for number, name in enumerate(written.includes)
    ]
    document = overlay.apply(written, base.document, [s.document for s in included], place)
    lines = {id: spot for source in (base, *included) for id, spot in source.lines.items()}
    for number, principle in enumerate(written.add):
        lines[principle.id] = (place.file, place.line(("add", number)))
    for problem in problems(document):
        place.fail(problem.says, problem.expected, _written_at(problem.keys, document, written))
    return Source(document, place, {p.id: lines[p.id] for p in document.principles})


def _other(name: str, place: Place, keys: Keys, depth: int) -> Source:
    """A document that an overlay names: beside its file, or shipped."""
    path = locate(name)
    if not path.is_absolute():
        path = Path(place.file).parent / path
    if not _is_file(path):
        place.fail(f"no document {name!r}", "a file beside this one, or a shipped document", keys)
    return read(path, depth=depth + 1)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, or one that no file system takes
        return False


def _written_at(keys: Keys, document: Constitution, written: Overlay) -> Keys:
    """Where an overlay says what a path of the result holds, as near as can be told."""
    if keys[0] != "principles" or len(keys) < 2:
        return keys[:1]
    id = document.principles[int(keys[1])].id
    parts = {
        "add": [p.id for p in written.add],
        "replace": [step.id for step in written.replace],
        "prefer": [step.id for step in written.prefer],
    }
    for part, ids in parts.items():
        if id in ids:
            return (part, ids.index(id), *keys[2:])
    if keys[2:] == ("over",) and written.prefer:
        # A circle may begin at a clause of the base, which had none: a preference closed it.
        return ("prefer", 0, "over")
    return ("base",)


__all__ = [
    "DEFAULT",
    "FORMAT",
    "Categories",
    "Category",
    "Change",
    "Constitution",
    "Example",
    "Principle",
    "Reference",
    "Source",
    "contents",
    "is_markdown",
    "load",
    "locate",
    "normal",
    "parse",
    "read",
    "tree",
]
