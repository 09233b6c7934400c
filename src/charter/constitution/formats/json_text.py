"""JSON that people hand in: a tree that knows at which line each of its values stands.

Knows no format. Lines are found by a second walk over the tokens, which is made only when one is
asked for: most files are read without any.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NoReturn

from charter.constitution.formats.given import Given
from charter.constitution.reading import dotted
from charter.errors import DocumentError

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
Path = tuple[int | str, ...]


class JsonText:
    """A parsed JSON file.

    Raises:
        DocumentError: it is not JSON, or says a key twice; with the line.
    """

    def __init__(self, given: Given) -> None:
        self.given = given
        try:
            tree = json.loads(
                given.text.removeprefix("\ufeff"),
                object_pairs_hook=self._object,
                parse_constant=self._constant,
            )
        except json.JSONDecodeError as error:
            given.fail(f"not JSON: {error.msg}", error.lineno, "a JSON file")
        except (ValueError, RecursionError) as error:
            given.fail(f"not JSON: {type(error).__name__}: {error}", 1, "a JSON file")
        self.root = Node(self, (), tree)

    def line(self, path: Path) -> int:
        """1-based line of the deepest part of a path that is there."""
        known = (path[:length] for length in range(len(path), -1, -1))
        return next((self._lines[part] for part in known if part in self._lines), 1)

    @cached_property
    def _lines(self) -> dict[Path, int]:
        text, found, line, last = self.given.text.removeprefix("\ufeff"), {}, 1, 0
        for path, start in _starts(text):
            line, last = line + text.count("\n", last, start), start
            found[path] = line
        return found

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                spots = [match.start() for match in re.finditer(_spelt(key), self.given.text)]
                line = self.given.text.count("\n", 0, spots[1] if len(spots) > 1 else 0) + 1
                self.given.fail(f"key {key!r} twice in one object", line, "each key once")
            found[key] = value
        return found

    def _constant(self, name: str) -> NoReturn:
        line = self.given.text.count("\n", 0, self.given.text.find(name)) + 1
        self.given.fail(f"not JSON: {name}", line, "a number")


class Node:
    """One value with its place; its methods say what was expected where it is something else."""

    def __init__(self, source: JsonText, path: Path, value: Any) -> None:
        self.source, self.path, self.value = source, path, value

    @property
    def line(self) -> int:
        """1-based line at which it starts."""
        return self.source.line(self.path)

    def fields(self) -> dict[str, Node]:
        """The values of an object by key."""
        if not isinstance(self.value, dict):
            self.fail(f"{_kind(self.value)}", "a JSON object")
        return {key: Node(self.source, (*self.path, key), v) for key, v in self.value.items()}

    def items(self) -> list[Node]:
        """The values of an array."""
        if not isinstance(self.value, list):
            self.fail(f"{_kind(self.value)}", "a JSON array")
        return [Node(self.source, (*self.path, i), v) for i, v in enumerate(self.value)]

    def text(self) -> str:
        """A string."""
        if not isinstance(self.value, str):
            self.fail(f"{_kind(self.value)}", "a string")
        return self.value

    def child(self, key: str) -> Node:
        """The value of a key, which has to be there."""
        fields = self.fields()
        if key not in fields:
            self.fail(f"no key {key!r}", f"an object with {key!r}")
        return fields[key]

    def only(self, *keys: str) -> dict[str, Node]:
        """The values by key, where no other keys may be: what is not read would be lost."""
        fields = self.fields()
        for key, node in fields.items():
            if key not in keys:
                node.fail(f"unknown key {key!r}", ", ".join(keys))
        return fields

    def fail(self, problem: str, expected: str) -> NoReturn:
        """Raise the error that stands here."""
        raise DocumentError(
            problem,
            file=self.source.given.file,
            line=self.line,
            field=dotted(self.path) or None,
            expected=expected,
        )


def _starts(text: str) -> Iterator[tuple[Path, int]]:
    """Every value's path and offset, in a text that is known to be JSON."""
    frames: list[list[Any]] = []  # [is an object, its key or index; None while a key is awaited]
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token == ",":
            frames[-1][1] = None if frames[-1][0] else frames[-1][1] + 1
        elif token in "}]":
            frames.pop()
        elif frames and frames[-1][0] and frames[-1][1] is None:
            frames[-1][1] = json.loads(token)
        elif token != ":":
            yield tuple(key for _, key in frames), match.start()
            if token in "{[":
                frames.append([token == "{", None if token == "{" else 0])


def _spelt(key: str) -> str:
    return re.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:"


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a truth value"}
    return names.get(type(value), "null" if value is None else "a number")
