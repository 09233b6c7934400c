"""Files of texts to test a guard on: conversations, with or without an answer.

Owns reading them (CSV and JSONL, gzipped too) with named columns, and counting what cannot be used.
Rows may be `GuardExample`s too: they say category and form. Knows no scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from charter.errors import DataError
from charter.prompts import sets
from charter.records import Message


@dataclass(frozen=True, slots=True)
class TestRow:
    """One text to score.

    Attributes:
        messages: the conversation, ending with the user's turn.
        answer: the answer, or "".
        group: `category` and `form` of the row, where it says so.
    """

    __test__ = False  # the name begins like that of a test

    messages: tuple[Message, ...]
    answer: str
    group: dict[str, str]


@dataclass
class TestFile:
    """Rows of a file, and the reasons for which others were left out, counted."""

    __test__ = False

    rows: list[TestRow] = field(default_factory=list)
    unscored: Counter[str] = field(default_factory=Counter)


def read(
    file: str,
    *,
    text: str | None = None,
    answer: str | None = None,
    limit: int | None = None,
) -> TestFile:
    """All rows of a file.

    Args:
        file: `.jsonl`, `.json` or `.csv`, `.gz` too.
        text: column of the prompt; one of the usual names if not given.
        answer: column of the answer; `answer` in rows of guard data if not given.
        limit: most rows.

    Raises:
        DataError: no such file or column, or nothing in it that can be scored.
    """
    found = TestFile()
    for line, row in sets.rows(file):
        if limit is not None and len(found.rows) >= limit:
            break
        if not isinstance(row, Mapping):
            row = {"text": row}
        read_row = _row(row, file, line, text, answer)
        if isinstance(read_row, str):
            found.unscored[read_row] += 1
        else:
            found.rows.append(read_row)
    if not found.rows:
        reasons = ", ".join(f"{why} {n}" for why, n in found.unscored.items())
        raise DataError("nothing in it can be scored", file=file, expected=reasons or "rows")
    return found


def shared_column(file: str, name: str | None) -> str | None:
    """Column of a second file whose own was not named: the first one's, if its first row has it.

    None, for one of the usual names, if not.
    """
    first = next((row for _, row in sets.rows(file)), None)
    return name if isinstance(first, Mapping) and name in first else None


def groups(rows: list[TestRow], name: str) -> dict[str, list[int]]:
    """Places of the rows of each group that `name` (`category`, `form`) divides them into."""
    found: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        if row.group.get(name):
            found.setdefault(row.group[name], []).append(place)
    return found


def _row(
    row: Mapping[str, Any], file: str, line: int, text: str | None, answer: str | None
) -> TestRow | str:
    said = _cell(row, answer, file, line) if answer else str(row.get("answer") or "")
    if answer and not said.strip():
        return "no answer"
    if text is not None:
        content = _cell(row, text, file, line)
        if not content.strip():
            return "no text"
        messages: tuple[Message, ...] = (Message("user", content),)
    elif "conversation" in row:
        messages = sets.prompt_of({"messages": row["conversation"]}, "test", file, line).messages
    else:
        messages = sets.prompt_of(row, "test", file, line).messages
    named = {name: str(row.get(name) or "") for name in ("category", "form")}
    return TestRow(messages, said, named)


def _cell(row: Mapping[str, Any], column: str, file: str, line: int) -> str:
    if column not in row:
        known: Iterator[str] = map(str, row)
        raise DataError(
            "no such column", file=file, line=line, field=column, expected=", ".join(known)
        )
    value = row[column]
    return "" if value is None else str(value)
