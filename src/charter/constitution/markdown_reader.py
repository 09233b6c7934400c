"""Reading the Markdown form into a tree with line numbers; `markdown` shows the layout.

Knows no rules beyond the layout: types and ids are checked where all forms are, in `document`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from charter import yaml_tree
from charter.constitution.reading import Keys
from charter.errors import DocumentError

HEAD = ("format", "name", "version", "levels", "made_from")
_LINES = {
    "Critique request": "critique_request",
    "Revision request": "revision_request",
    "Comparison question": "comparison_question",
    "Level": "level",
    "Rationale": "rationale",
    "Source": "source",
    "Kind": "kind",
    "Date": "date",
}
_LISTS = {"Tags": "tags", "Priority over": "over", "Principles": "principles"}
EXAMPLE = {"Example": "prompt", "Good answer": "good", "Bad answer": "bad", "Comment": "comment"}
_SECTIONS: dict[str, tuple[str, ...]] = {
    "Principles": ("principles",),
    "Harmful categories": ("categories", "harmful"),
    "Harmless categories": ("categories", "harmless"),
    "Terms": ("terms",),
    "Changelog": ("changelog",),
}
_ALLOWED = {
    "principles": {*_LINES, *_LISTS, *EXAMPLE, "Weight", "Span", "Exception"}
    - {"Kind", "Date", "Principles"},
    "categories": {"Principles"},
    "terms": set[str](),
    "changelog": {"Kind", "Date", "Principles"},
}
_HEADING = re.compile(r"(#{1,3}) +(.*?)\s*")
_ANCHORED = re.compile(r"(.*?)\s*\{#([^{}]*)\}")
_FIELD = re.compile(r"- \*\*([^*]+):\*\*\s?(.*)")


def parse(text: str, file: str) -> tuple[dict[str, Any], Callable[[Keys], int | None]]:
    """The tree that a Markdown text holds, and how lines are found in it.

    Raises:
        DocumentError: with the line, where the layout is not the one above.
    """
    reader = _Reader(text, file)
    reader.read()
    return reader.tree, reader.line


class _Block(NamedTuple):
    """A heading with what stands under it."""

    line: int
    depth: int
    title: str
    body: str
    fields: list[tuple[str, str, int]]


class _Reader:
    """Builds the tree, and remembers the line of every part."""

    def __init__(self, text: str, file: str) -> None:
        self.file, self.text = file, text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
        self.tree: dict[str, Any] = {}
        self.lines: dict[tuple[int | str, ...], int] = {}

    def line(self, keys: Keys) -> int | None:
        """Line of the deepest part of a path that the text holds."""
        path = tuple(keys)
        return next(
            (self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), None
        )

    def fail(self, problem: str, line: int, expected: str) -> DocumentError:
        return DocumentError(problem, file=self.file, line=line, expected=expected)

    def read(self) -> None:
        start = self._front()
        section: tuple[str, ...] = ()
        for block in self._blocks(start):
            if block.depth == 1:
                self._title(block)
            elif block.depth == 2:
                section = self._section(block)
            elif not section:
                raise self.fail(
                    "a heading outside a section", block.line, "`## Principles` before it"
                )
            else:
                self._entry(block, section)

    def _front(self) -> int:
        """Read the front matter; the number of lines it takes."""
        rest = self.text[1:]
        if self.text[0].rstrip() != "---" or "---" not in [line.rstrip() for line in rest]:
            raise self.fail("no front matter", 1, "`---`, lines such as `name: x`, `---`")
        end = [line.rstrip() for line in rest].index("---")
        # An empty line in place of the `---` keeps the line numbers of the file.
        raw = yaml_tree.parse("\n".join(["", *rest[:end]]), file=self.file, kind=DocumentError)
        for key in raw:
            self.lines[(str(key),)] = yaml_tree.line_of(raw, [key]) or 1
            if key not in HEAD:
                line = self.lines[(str(key),)]
                raise self.fail(f"{key!r} in the front matter", line, ", ".join(HEAD))
        self.tree = dict(raw)
        return end + 2

    def _blocks(self, start: int) -> Iterator[_Block]:
        number, depth, title = start, 1, ""
        lines: list[tuple[int, str]] = []
        for at, line in enumerate(self.text[start:], start=start + 1):
            heading = _HEADING.fullmatch(line)
            if heading is None:
                lines.append((at, line))
                continue
            yield self._block(number, depth, title, lines)
            number, depth, title, lines = at, len(heading[1]), heading[2], []
        yield self._block(number, depth, title, lines)

    def _block(self, number: int, depth: int, title: str, lines: list[tuple[int, str]]) -> _Block:
        body: list[str] = []
        fields: list[tuple[str, list[str], int]] = []
        for at, line in lines:
            found = _FIELD.fullmatch(line)
            if found:
                fields.append((found[1], [found[2]], at))
            elif not fields:
                body.append(line[1:] if line.startswith("\\") else line)
            elif line.startswith("  ") or not line.strip():
                fields[-1][1].append(line[2:])
            else:
                raise self.fail("text after a field", at, "two spaces in front, or a new heading")
        joined = [(label, "\n".join(value).strip(), at) for label, value, at in fields]
        return _Block(number, depth, title, "\n".join(body).strip(), joined)

    def _title(self, block: _Block) -> None:
        if block.fields:
            raise self.fail("a field outside an entry", block.fields[0][2], "a heading before it")
        for key, value in (("title", block.title), ("description", block.body)):
            if value and key in self.tree:
                raise self.fail(
                    f"a second {key}", block.line, "one `# Title`, then the description"
                )
            if value:
                self.tree[key], self.lines[(key,)] = value, block.line

    def _section(self, block: _Block) -> tuple[str, ...]:
        if block.title not in _SECTIONS:
            raise self.fail(f"unknown section {block.title!r}", block.line, ", ".join(_SECTIONS))
        if block.body or block.fields:
            raise self.fail("text between a section and its first entry", block.line, "`### …`")
        keys = _SECTIONS[block.title]
        if keys in self.lines:
            raise self.fail(f"section {block.title!r} twice", block.line, "each section once")
        for length in range(1, len(keys) + 1):
            self.lines.setdefault(keys[:length], block.line)
        self._holder(keys)
        return keys

    def _holder(self, keys: tuple[str, ...]) -> Any:
        """The list, or mapping, that a section's entries go into."""
        if len(keys) == 1:
            return self.tree.setdefault(keys[0], {} if keys[0] == "terms" else [])
        return self.tree.setdefault(keys[0], {}).setdefault(keys[1], [])

    def _entry(self, block: _Block, section: tuple[str, ...]) -> None:
        holder = self._holder(section)
        keys: tuple[int | str, ...]
        if section == ("terms",):
            if block.title in holder:
                raise self.fail(f"term {block.title!r} twice", block.line, "each term once")
            keys, holder[block.title] = ("terms", block.title), block.body
            self._fields(block, keys)
        else:
            keys = (*section, len(holder))
            holder.append({**self._opening(block, section), **self._fields(block, keys)})
        self.lines[keys] = block.line

    def _opening(self, block: _Block, section: tuple[str, ...]) -> dict[str, str]:
        if section == ("changelog",):
            return {"version": block.title, "note": block.body}
        anchored = _ANCHORED.fullmatch(block.title)
        if anchored is None:
            raise self.fail(f"no id in {block.title!r}", block.line, "`### Title {#id}`")
        return {"id": anchored[2], "title": anchored[1], "text": block.body}

    def _fields(self, block: _Block, keys: tuple[int | str, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        allowed = _ALLOWED[str(keys[0])]
        for label, value, line in block.fields:
            if label not in allowed:
                expected = ", ".join(sorted(allowed)) or "no fields"
                raise self.fail(f"unknown field {label!r}", line, expected)
            self._field(found, label, value, line)
            self.lines.setdefault((*keys, _key(label)), line)
        return found

    def _field(self, found: dict[str, Any], label: str, value: str, line: int) -> None:
        if label == "Exception":
            found.setdefault("exceptions", []).append(value)
        elif label == "Example":
            found.setdefault("examples", []).append({"prompt": value})
        elif label in EXAMPLE:
            if not found.get("examples") or EXAMPLE[label] in found["examples"][-1]:
                raise self.fail(f"{label!r} of no example", line, "`- **Example:** …` before it")
            found["examples"][-1][EXAMPLE[label]] = value
        elif _key(label) in found:
            raise self.fail(f"field {label!r} twice", line, "each field once")
        else:
            found[_key(label)] = self._value(label, value, line)

    def _value(self, label: str, value: str, line: int) -> Any:
        if label in _LISTS:
            return split_list(value)
        try:
            if label == "Weight":
                return float(value)
            if label == "Span":
                return [int(part) for part in value.split("-")]
        except ValueError:
            raise self.fail(
                f"{label.lower()} {value!r}", line, "a number; two for a span"
            ) from None
        return value


def _key(label: str) -> str:
    others = {"Weight": "weight", "Span": "span", "Exception": "exceptions"}
    examples = dict.fromkeys(EXAMPLE, "examples")
    return {**_LINES, **_LISTS, **others, **examples}[label]


def split_list(text: str) -> list[str]:
    """The reverse of `markdown.join_list`."""
    parts = re.findall(r"(?:\\.|[^\\,])+", text)
    return [re.sub(r"\\(.)", r"\1", part.strip()) for part in parts if part.strip()]
