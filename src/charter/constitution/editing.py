"""Changing a YAML document in place: comments, order and layout stay as their author left them.

Owns the text alone. Every edit is checked twice: the new text must be a valid document, and it
must hold what was asked for and nothing else. Knows no Markdown: that form has no comments, so it
is read, changed and written as a whole.
"""

from __future__ import annotations

import difflib
import io
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec.structs import fields
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq
from ruamel.yaml.scalarstring import LiteralScalarString, ScalarString

from charter.constitution import document as documents
from charter.constitution import yaml_writer
from charter.constitution.clauses import Change, Principle
from charter.constitution.yaml_writer import to_yaml
from charter.errors import DocumentError

_ORDER = [field.name for field in fields(Principle)]


class Editor:
    """A YAML document being edited; `text` is what to write back.

    Args:
        text: the document as it stands in the file.
        file: its name, for errors.

    Raises:
        DocumentError: the text is no valid document, or an edit would make it one.
    """

    def __init__(self, text: str, *, file: str = "<constitution>") -> None:
        self.text, self.file = text, file
        self.document = documents.parse(text, file=file)

    def set(self, id: str, field: str, value: Any) -> None:
        """Give a field of a principle a new value; a default value takes the field out."""
        assert field in _ORDER, field
        index = self._index(id)
        changed = msgspec.structs.replace(self.document.principles[index], **{field: value})
        stated = yaml_writer.stated(changed)
        tree = self._tree()
        item = tree["principles"][index]
        if field not in stated:
            _take_out(item, field)
        elif field in item:
            item[field] = _like(item[field], stated[field])
        else:
            item.insert(_place_for(field, list(item)), field, stated[field])
        wanted = list(self.document.principles)
        wanted[index] = changed
        self._accept(self._written(tree), principles=tuple(wanted))

    def set_version(self, version: str) -> None:
        """Give the document a new version."""
        tree = self._tree()
        tree["version"] = _like(tree["version"], version)
        self._accept(self._written(tree), version=version)

    def add(self, principle: Principle) -> None:
        """Put a principle after the last one."""
        wanted = (*self.document.principles, principle)
        lines, items = self.text.split("\n"), self._tree()["principles"]
        end = self._end(lines, len(items) - 1)
        apart = [""] if len(items) > 1 and not lines[items.lc.item(1)[0] - 1].strip() else []
        block = [*apart, *yaml_writer.item(principle, self._dash(lines, items))]
        spliced = "\n".join([*lines[:end], *block, *lines[end:]])
        self._accept([spliced, lambda: self._anew(wanted)], principles=wanted)

    def remove(self, id: str) -> None:
        """Take a principle out, with the comments inside it; those around it stay."""
        index = self._index(id)
        wanted = tuple(p for p in self.document.principles if p.id != id)
        lines, items = self.text.split("\n"), self._tree()["principles"]
        start, end = items.lc.item(index)[0], self._end(lines, index)
        if end < len(lines) and not lines[end].strip():
            end += 1
        spliced = "\n".join([*lines[:start], *lines[end:]])
        self._accept([spliced, lambda: self._anew(wanted)], principles=wanted)

    def log(self, change: Change) -> None:
        """Add an entry to the changelog."""
        tree = self._tree()
        tree.setdefault("changelog", CommentedSeq()).append(yaml_writer.stated(change))
        self._accept(self._written(tree), changelog=(*self.document.changelog, change))

    def _index(self, id: str) -> int:
        principle = self.document.principle(id)
        return self.document.principles.index(principle)

    def _tree(self) -> Any:
        reader = YAML()
        reader.preserve_quotes = True
        return reader.load(self.text)

    def _written(self, tree: Any) -> list[str]:
        """The text with the changes of a tree and all other lines as they are in the file.

        Second, for layouts in which the lines cannot be told apart: the tree written anew.
        """
        before, after = self._dumped(self._tree()), self._dumped(tree)
        merged = _merge(self.text.split("\n"), before.split("\n"), after.split("\n"))
        return ["\n".join(merged), after]

    def _dumped(self, tree: Any) -> str:
        stream = io.StringIO()
        writer = YAML()
        writer.width = yaml_writer.WIDE
        offset = self._offset()
        writer.indent(mapping=2, sequence=offset + 2, offset=offset)
        writer.dump(tree, stream)
        return stream.getvalue()

    def _offset(self) -> int:
        """Spaces before a dash: the habit of the list of principles is kept for all."""
        items = self._tree()["principles"]
        return 2 if items.fa.flow_style() else max(0, int(items.lc.item(0)[1]) - 2)

    def _end(self, lines: Sequence[str], index: int) -> int:
        """The line after the last one of a principle that is not empty and no comment."""
        tree = self._tree()
        items = tree["principles"]
        keys = list(tree)
        following = keys[keys.index("principles") + 1 :]
        end = len(lines)
        if index + 1 < len(items):
            end = items.lc.item(index + 1)[0]
        elif following:
            end = tree.lc.key(following[0])[0]
        while end > 0 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
            end -= 1
        return end

    def _dash(self, lines: Sequence[str], items: Any) -> int:
        line, column = items.lc.item(0)
        return max(0, lines[int(line)].rfind("-", 0, int(column)))

    def _anew(self, principles: tuple[Principle, ...]) -> str:
        tree = self._tree()
        tree["principles"] = yaml_writer.stated(list(principles))
        return self._dumped(tree)

    def _accept(self, texts: Sequence[str | Callable[[], str]], **changes: Any) -> None:
        """Take the first text that means what it should.

        Raises:
            DocumentError: what it should mean is no valid document.
        """
        wanted = msgspec.structs.replace(self.document, **changes)
        for number, made in enumerate(texts, start=1):
            text = made if isinstance(made, str) else made()
            try:
                document = documents.parse(text, file=self.file)
            except DocumentError:
                if number == len(texts):
                    raise
                continue
            if document == wanted or document == documents.normal(wanted):
                self.text, self.document = text, document
                return
        raise AssertionError("the edit changed more than it should")


def _merge(mine: list[str], before: list[str], after: list[str]) -> list[str]:
    """Lines of `mine`, with what changed from `before` to `after` (a three-way merge)."""
    here, there = _matches(before, mine), _matches(before, after)
    anchors = [(b, here[b], there[b]) for b in here if b in there]
    merged: list[str] = []
    b = m = a = 0
    for anchor in [*anchors, (len(before), len(mine), len(after))]:
        parts = mine[m : anchor[1]], before[b : anchor[0]], after[a : anchor[2]]
        merged += [*_chunk(*parts), *mine[anchor[1] : anchor[1] + 1]]
        b, m, a = (position + 1 for position in anchor)
    return merged


def _chunk(mine: list[str], before: list[str], after: list[str]) -> list[str]:
    """The merge of lines between two that all three texts share."""
    if before == after:
        return mine
    if after[: len(before)] == before:
        return [*mine, *after[len(before) :]]
    if after[len(after) - len(before) :] == before:
        return [*after[: len(after) - len(before)], *mine]
    if len(mine) != len(before):
        return after
    steps = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    parts = [mine[i:j] if tag == "equal" else after[k:n] for tag, i, j, k, n in steps]
    return [line for part in parts for line in part]


def _matches(left: list[str], right: list[str]) -> dict[int, int]:
    """Line of `left` → the same line of `right`, in order."""
    blocks = difflib.SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks()
    return {x.a + k: x.b + k for x in blocks for k in range(x.size)}


def _take_out(item: Any, field: str) -> None:
    """Delete a field. What ruamel holds at its end (a comment, an empty line) moves up a field."""
    if field not in item:
        return
    keys = list(item)
    trailing = item.ca.items.get(field)
    above = keys[keys.index(field) - 1]
    del item[field]
    if trailing and above not in item.ca.items:
        item.ca.items[above] = trailing


def _like(old: Any, new: Any) -> Any:
    """A new value in the style of the old one: quotes, block, and the comment that hangs on it."""
    if not (isinstance(old, ScalarString) and isinstance(new, str)):
        return new
    style = LiteralScalarString if "\n" in new else type(old)
    styled = style(new)
    comment = getattr(old, "comment", None)
    if comment is not None:
        styled.comment = comment
    return styled


def _place_for(field: str, keys: Sequence[str]) -> int:
    """Where a new field goes: in the order of the record, and never last.

    The last field holds the comments that stand before the next principle.
    """
    later = [i for i, key in enumerate(keys) if _ORDER.index(key) > _ORDER.index(field)]
    return min([*later, max(0, len(keys) - 1)])


__all__ = ["Editor", "to_yaml"]
