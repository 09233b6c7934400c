"""The constitution: principles and categories, read from YAML, checked, and digested.

Owns: what a valid document is, where in the file an error stands, and the digest by which every
record cites the document. It does not know what a principle is used for.
"""

from __future__ import annotations

import re
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from charter import yaml_tree
from charter.errors import DocumentError
from charter.records import Record, digest
from charter.yaml_tree import line_of

FORMAT = "charter/constitution/1"
DEFAULT = "default"
_ID = re.compile(r"[a-z0-9][a-z0-9_-]*")


class Principle(Record, frozen=True):
    """One clause, in the three phrasings that Constitutional AI uses (Bai et al. 2022, App. C)."""

    id: str
    title: str
    text: str
    critique_request: str
    revision_request: str
    comparison_question: str
    weight: float = 1.0
    tags: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Digest of this clause alone, so that an edit elsewhere leaves its labels valid."""
        return digest(self)


class Category(Record, frozen=True):
    """A class of content that a guard stops (harmful) or lets pass (harmless)."""

    id: str
    title: str
    text: str
    principles: tuple[str, ...] = ()


class Categories(Record, frozen=True):
    """Both halves; dropping the harmless one costs robustness (arXiv 2501.18837)."""

    harmful: tuple[Category, ...] = ()
    harmless: tuple[Category, ...] = ()


class Constitution(Record, frozen=True):
    """A whole document. Order of principles is part of it; formatting is not."""

    format: str
    name: str
    version: str
    principles: tuple[Principle, ...]
    title: str = ""
    description: str = ""
    categories: Categories = Categories()

    @property
    def digest(self) -> str:
        """Digest of the content: comments, line breaks, quoting and key order do not change it."""
        return digest(self)

    def principle(self, id: str) -> Principle:
        """The principle of that id.

        Raises:
            DocumentError: there is none.
        """
        for principle in self.principles:
            if principle.id == id:
                return principle
        raise DocumentError(
            f"no principle {id!r} in constitution {self.name!r}",
            expected=", ".join(p.id for p in self.principles),
        )


def load(source: str | Path) -> Constitution:
    """Read a constitution.

    Args:
        source: a YAML file, or the name of one that ships with the package (`default`).

    Raises:
        DocumentError: with file, line and field, if it is missing or not valid.
    """
    path = _locate(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(f"cannot be read: {error}", file=str(source)) from error
    return parse(text, file=str(source) if path.name != f"{source}.yaml" else str(path))


def parse(text: str, *, file: str = "<constitution>") -> Constitution:
    """Read a constitution from YAML text; `file` is the name used in errors."""
    tree = yaml_tree.parse(text, file=file, kind=DocumentError)
    try:
        document = msgspec.convert(_plain(tree), Constitution, strict=True)
    except msgspec.ValidationError as error:
        raise _located(error, tree, file) from error
    _check(document, tree, file)
    return document


def _locate(source: str | Path) -> Path:
    named = resources.files("charter.constitution") / "library" / f"{source}.yaml"
    if not Path(source).suffix and named.is_file():
        return Path(str(named))
    return Path(source)


def _plain(node: Any) -> Any:
    """Builtin containers and scalars, with white space folded so that line breaks do not count."""
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    if isinstance(node, bool) or node is None:
        return node
    if isinstance(node, float):
        return float(node)
    if isinstance(node, int):
        return int(node)
    return " ".join(str(node).split())


def _located(error: msgspec.ValidationError, tree: Any, file: str) -> DocumentError:
    problem, _, path = str(error).partition(" - at `$")
    steps = [s.strip("[]") for s in re.findall(r"\.[^.\[\]`]+|\[[^\]]*\]", path)]
    keys = [int(s) if s.isdigit() else s.lstrip(".") for s in steps]
    return DocumentError(
        problem, file=file, line=(line_of(tree, keys) or 1), field=_dotted(keys) or None
    )


def _dotted(keys: list[int | str]) -> str:
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
    return text.lstrip(".")


def _check(document: Constitution, tree: Any, file: str) -> None:
    """Checks across fields, which types cannot make."""

    def fail(problem: str, expected: str, *keys: int | str) -> None:
        path = list(keys)
        raise DocumentError(
            problem,
            file=file,
            line=(line_of(tree, path) or 1),
            field=_dotted(path),
            expected=expected,
        )

    if document.format != FORMAT:
        fail(f"unknown format {document.format!r}", repr(FORMAT), "format")
    if not document.principles:
        fail("no principles", "at least one principle", "principles")
    repeated = _repeated([p.id for p in document.principles])
    for index, principle in enumerate(document.principles):
        where = ("principles", index)
        if principle.id in repeated:
            fail(f"duplicate id {principle.id!r}", "an id used once", *where, "id")
        if not _ID.fullmatch(principle.id):
            fail(f"bad id {principle.id!r}", "lower-case letters, digits, - and _", *where, "id")
        if not principle.weight > 0:
            fail(f"weight {principle.weight!r}", "a number above 0", *where, "weight")
        for field in ("title", "text", "critique_request", "revision_request"):
            if not getattr(principle, field):
                fail("empty", "some text", *where, field)
        if not principle.comparison_question:
            fail("empty", "some text", *where, "comparison_question")
    _check_categories(document, fail)


def _check_categories(document: Constitution, fail: Any) -> None:
    known = {p.id for p in document.principles}
    both = [*document.categories.harmful, *document.categories.harmless]
    repeated = _repeated([c.id for c in both])
    for half in ("harmful", "harmless"):
        for index, category in enumerate(getattr(document.categories, half)):
            where = ("categories", half, index)
            if category.id in repeated:
                fail(f"duplicate id {category.id!r}", "an id used once", *where, "id")
            for cited in category.principles:
                if cited not in known:
                    fail(f"unknown principle {cited!r}", "an id above", *where, "principles")


def _repeated(ids: list[str]) -> set[str]:
    return {id for id, count in Counter(ids).items() if count > 1}
