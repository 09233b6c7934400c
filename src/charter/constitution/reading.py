"""From a parsed file to typed records: plain data, tidy white space, errors with line and field.

Knows no syntax: YAML and Markdown both bring a tree of builtins and a way to find lines in it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

import msgspec

from charter.errors import DocumentError

T = TypeVar("T")
Keys = Sequence[int | str]
Lines = Callable[[Keys], int | None]
"""1-based line of the deepest part of a path that stands in the file."""

PROSE = frozenset(
    {"text", "description", "rationale", "exceptions", "note", "prompt", "good", "bad", "comment"}
)
"""Fields, or lists of texts, whose line breaks are kept; all other texts are one line."""
MOST_NODES = 200_000
"""A document has far fewer; nested YAML aliases can spell more than memory holds."""


class Place:
    """A file being read: says where a path stands in it, and fails there."""

    def __init__(self, file: str, lines: Lines) -> None:
        self.file, self.lines = file, lines

    def line(self, keys: Keys) -> int:
        """1-based line; the first where the path is nowhere."""
        return self.lines(keys) or 1

    def error(self, problem: str, expected: str | None, keys: Keys) -> DocumentError:
        """The error that stands at a path."""
        field = dotted(keys) or None
        return DocumentError(
            problem, file=self.file, line=self.line(keys), field=field, expected=expected
        )

    def fail(self, problem: str, expected: str | None, keys: Keys) -> NoReturn:
        """Raise the error that stands at a path."""
        raise self.error(problem, expected, keys)


def typed(plain: Any, kind: type[T], place: Place, under: Keys = ()) -> T:
    """Plain data as a record.

    Args:
        plain: what `Tidy` gave back, or a part of it.
        kind: the record wanted.
        place: where the data comes from.
        under: path of the part in its file.

    Raises:
        DocumentError: a field is missing, unknown or of the wrong type.
    """
    try:
        return msgspec.convert(plain, kind, strict=True)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        raise place.error(problem, None, [*under, *_keys(path)]) from error


class Tidy:
    """Turns a parsed tree into builtins; line breaks outside prose and odd spaces go.

    Raises:
        DocumentError: a character that no text should hold, or a tree without end.
    """

    def __init__(self, place: Place) -> None:
        self.place, self.left = place, MOST_NODES

    def __call__(self, node: Any, keys: tuple[int | str, ...] = (), *, prose: bool = False) -> Any:
        """The tidy form of one node; `prose` texts keep their lines."""
        self.left -= 1
        if self.left < 0 or len(keys) > 20:
            self.place.fail("too large or too deeply nested", "a document without loops", keys[:1])
        if isinstance(node, dict):
            named = {str(key): value for key, value in node.items()}
            return {
                tidy_line(key): self(value, (*keys, key), prose=key in PROSE)
                for key, value in named.items()
            }
        if isinstance(node, list):
            return [self(item, (*keys, index), prose=prose) for index, item in enumerate(node)]
        return self._scalar(node, keys, prose)

    def _scalar(self, node: Any, keys: Keys, prose: bool) -> Any:
        if isinstance(node, bool) or node is None:
            return node
        if isinstance(node, float):
            return float(node)
        if isinstance(node, int):
            # Beyond this a number is a slip, and no longer one that JSON readers agree on.
            return int(node) if abs(node) < 1 << 53 else float("inf")
        text = tidy_prose(str(node)) if prose else tidy_line(str(node))
        odd = forbidden(text)
        if odd:
            self.place.fail(f"character U+{ord(odd):04X}", "printable text", keys)
        return text


def tidy_line(text: str) -> str:
    """One line, single spaces."""
    return " ".join(text.split())


def tidy_prose(text: str) -> str:
    """Lines without trailing spaces, no empty lines around them."""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip()


def forbidden(text: str) -> str:
    """The first control character or lone surrogate of a tidy text, or ""."""
    return next(
        (c for c in text if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"), ""
    )


def dotted(keys: Keys) -> str:
    """A path as people write it: `principles[3].id`."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return text.lstrip(".")


def _keys(path: str) -> list[int | str]:
    steps = [s.strip("[]") for s in re.findall(r"\.[^.\[\]`]+|\[[^\]]*\]", path)]
    return [int(s) if s.isdigit() else s.lstrip(".") for s in steps]
