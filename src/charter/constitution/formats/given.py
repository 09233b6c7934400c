"""What an importer is given and what it gives back, before anything is checked.

Owns the file's text with its lines and character offsets, ids made from titles, and short titles.
Knows no format: each has a module of its own, and `assembly` turns what it found into a document.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from charter.errors import DocumentError

_LONGEST_ID, _LONGEST_TITLE = 60, 70


class Line(NamedTuple):
    """One line of a file: its 1-based number, the offset of its first character, its text."""

    number: int
    start: int
    text: str


class Given(NamedTuple):
    """A file to import. Offsets count the characters of `text`, which is as the file holds it."""

    file: str
    text: str

    @property
    def name(self) -> str:
        """The file's name without its folders."""
        return Path(self.file).name

    @property
    def digest(self) -> str:
        """Digest of the whole text; spans hold for a text with this digest."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def lines(self) -> Iterator[Line]:
        """All lines, without their ends and without a byte order mark."""
        start = 0
        for number, line in enumerate(self.text.split("\n"), start=1):
            mark = 1 if number == 1 and line.startswith("\ufeff") else 0
            yield Line(number, start + mark, line[mark:].rstrip("\r"))
            start += len(line) + 1

    def fail(self, problem: str, line: int, expected: str) -> NoReturn:
        """Raise the error that stands at a line."""
        raise DocumentError(problem, file=self.file, line=line, expected=expected)


class Clause(NamedTuple):
    """One principle to be: the line where it stands, and those of its fields that are known."""

    line: int
    fields: dict[str, Any]


class Found(NamedTuple):
    """What an importer found.

    Attributes:
        clauses: the principles, in the order of the file.
        head: fields of the document beside its principles.
        left_out: what the document has no place for, by reason.
    """

    clauses: list[Clause]
    head: dict[str, Any]
    left_out: dict[str, int]


def open_file(path: str | Path) -> Given:
    """Read a file.

    Raises:
        DocumentError: it cannot be read, or is not UTF-8; the latter with the line.
    """
    try:
        blob = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise DocumentError(f"cannot be read: {error}", file=path) from error
    return decoded(str(path), blob)


def decoded(file: str, blob: bytes) -> Given:
    """Bytes as text.

    Raises:
        DocumentError: they are not UTF-8; with the line.
    """
    try:
        return Given(file, blob.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = blob.count(b"\n", 0, error.start) + 1
        raise DocumentError(
            f"byte 0x{blob[error.start]:02x} is not UTF-8", file=file, line=line, expected="UTF-8"
        ) from error


def slug(text: str) -> str:
    """An id made from a text; "" if it holds no Latin letter or digit."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"['’]", "", plain)
    words = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")
    return words[:_LONGEST_ID].rstrip("-_")


def shortened(text: str, most: int = _LONGEST_TITLE) -> str:
    """The first words of a text; cut inside a word where none ends in time, as in Chinese."""
    line = " ".join(text.split())
    if len(line) <= most:
        return line
    start = line[: most - 1]
    whole = start.rpartition(" ")[0]
    return (whole if len(whole) > most // 2 else start) + "…"
