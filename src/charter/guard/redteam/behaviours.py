"""What is asked: behaviours, benign twins and tasks, from files or from the package.

Owns reading them, leaving out repeated and empty rows, and counting those. Knows no forms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from charter.errors import DataError
from charter.prompts import sets
from charter.records import Prompt

_CATEGORIES = ("category", "Category", "semantic_category", "SemanticCategory")
_ANSWERS = ("answer", "target", "label")
LIBRARY = "library"


@dataclass(frozen=True, slots=True)
class Asked:
    """Prompts of one file.

    Attributes:
        prompts: in the file's order, each text once.
        source: the file, or `library`.
        left_out: rows that were not used, by reason.
    """

    prompts: tuple[Prompt, ...]
    source: str
    left_out: dict[str, int]


@dataclass(frozen=True, slots=True)
class Task:
    """A harmless question with a known answer."""

    prompt: Prompt
    answer: str


def read(file: str | None, kind: str, *, text: str | None, limit: int | None) -> Asked:
    """Prompts of a file, or the package's own of that kind.

    Args:
        file: JSONL, JSON or CSV, gzipped too; None for the package's own.
        kind: `redteam` or `benign`.
        text: column of the prompt; one of the usual names if not given.
        limit: most prompts.

    Raises:
        DataError: no such file or column, or nothing in it.
    """
    left_out, found = Counter[str](), dict[object, Prompt]()
    for prompt in sets.library(kind) if file is None else _prompts(file, kind, text, left_out):
        if limit is not None and len(found) >= limit:
            break
        if prompt.messages in found:
            left_out["repeated"] += 1
        found.setdefault(prompt.messages, prompt)
    if not found:
        raise DataError("nothing in it to ask", file=file, expected="at least one row with a text")
    return Asked(tuple(found.values()), file or LIBRARY, dict(left_out))


def tasks(file: str, *, limit: int | None) -> tuple[Task, ...]:
    """Questions with known answers.

    Args:
        file: rows with a question, under one of the usual names, and `answer`, `target` or `label`.
        limit: most rows.

    Raises:
        DataError: a row has no question or no answer; names the line.
    """
    found: list[Task] = []
    for line, row in sets.rows(file):
        if limit is not None and len(found) >= limit:
            break
        known = next((row[n] for n in _ANSWERS if n in row), "") if _is_object(row) else ""
        if not str(known).strip():
            wanted = "a question and its answer"
            raise DataError("no answer", file=file, line=line, field="answer", expected=wanted)
        found.append(Task(sets.prompt_of(row, "benign", file, line), str(known).strip()))
    if not found:
        raise DataError("no tasks in it", file=file, expected="at least one row")
    return tuple(found)


def _prompts(file: str, kind: str, text: str | None, left_out: Counter[str]) -> Iterator[Prompt]:
    for line, row in sets.rows(file):
        given = {"text": row} if isinstance(row, str) else row
        if not _is_object(given):
            raise DataError("not an object", file=file, line=line, expected="an object or a text")
        category = next((str(given[n]) for n in _CATEGORIES if given.get(n)), "")
        if text is None:
            yield sets.prompt_of({**given, "category": category}, kind, file, line)
            continue
        if text not in given:
            known = ", ".join(map(str, given))
            raise DataError("no such column", file=file, line=line, field=text, expected=known)
        said = str(given[text] or "").strip()
        if said:
            yield sets.prompt_of({"text": said, "category": category}, kind, file, line)
        else:
            left_out["no text"] += 1


def _is_object(row: Any) -> bool:
    return isinstance(row, Mapping)
