"""CSV files as people export them: plain or gzip, row by row, every complaint with file and line.

Knows nothing of votes. This is the careful reader: it decides what a file says and where it is
wrong. `arrow` reads the same columns faster and leaves every doubtful file to this one.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from charter.errors import DataError

_GZIP = b"\x1f\x8b"
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")


def is_gzip(path: Path) -> bool:
    """Whether a file holds gzip data, by its first bytes: exports are renamed often.

    Raises:
        DataError: it cannot be opened.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(2) == _GZIP
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", file=path) from error


def rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number (1-based, where the row starts) and fields of every row that is not blank.

    Raises:
        DataError: with file and line, for broken gzip data, bad UTF-8 or broken quoting.
    """
    reader = csv.reader(_lines(path), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            at = max(1, reader.line_num)
            raise DataError(f"not valid CSV: {error}", file=path, line=at) from error
        if row:
            yield line, row


class Table:
    """A CSV file with a header; rows are checked against it as they are read.

    Args:
        path: the file.

    Raises:
        DataError: it is empty, or a column name stands twice.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        line, names = next(rows(path), (1, [""]))
        self.header_line = line
        self.one_line = line == 1 and not any("\n" in name or "\r" in name for name in names)
        self.header = [name.strip() for name in names]
        if self.header == [""]:
            raise DataError("no header", file=path, line=1, expected="column names")
        repeated = {name for name in self.header if self.header.count(name) > 1 and name}
        if repeated:
            problem = f"column {min(repeated)!r} stands twice"
            raise DataError(problem, file=path, line=line, expected="every name once")

    def index(self, name: str) -> int:
        """Position of a column.

        Raises:
            DataError: there is no such column.
        """
        if name not in self.header:
            raise DataError(
                f"no column {name!r}",
                file=self.path,
                line=self.header_line,
                expected=f"a header with {name!r}",
            )
        return self.header.index(name)

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """Line number and fields of every row below the header.

        Raises:
            DataError: a row has more or fewer fields than the header.
        """
        width = len(self.header)
        for line, row in rows(self.path):
            if line <= self.header_line:
                continue
            if len(row) != width:
                problem = f"{len(row)} fields"
                raise DataError(problem, file=self.path, line=line, expected=f"{width} fields")
            yield line, row

    def whole(self, row: Sequence[str], line: int, column: int) -> int:
        """The whole number in a field.

        Raises:
            DataError: it is not one, or does not fit 64 bits.
        """
        text = row[column].strip()
        if not _WHOLE.fullmatch(text):
            raise DataError(
                f"{text[:40]!r} is not a whole number",
                file=self.path,
                line=line,
                field=self.header[column],
                expected="digits",
            )
        return int(text)


def _lines(path: Path) -> Iterator[str]:
    """Text lines with their ends. Decoded one by one, so that bad bytes have a line number."""
    number = 0
    try:
        with _open(path) as stream:
            for number, blob in enumerate(stream, start=1):
                yield blob.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise DataError("not UTF-8 text", file=path, line=number) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot be read: {error}", file=path, line=number + 1) from error


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if is_gzip(path) else path.open("rb")  # type: ignore[return-value]
