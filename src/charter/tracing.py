"""Walking a record of a run back to the clauses of the constitution that made it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from charter.constitution.document import Constitution
from charter.errors import DataError
from charter.store import RECORDS

_CLAUSE_FIELDS = ("principle",)


def trace(run: str | Path, record_id: str) -> dict[str, Any]:
    """A record, the records that lead to it, and every clause they cite.

    Args:
        run: a run folder.
        record_id: an id as it stands in a `records.jsonl`.

    Returns:
        `record`, `stage`, `made_from` (the chain a demonstration was taken from, and so on),
        `clauses` (id, title, text) and `constitution` (digest).

    Raises:
        DataError: the run has no such record.
    """
    folder = Path(run)
    stage, record = _find(folder, record_id)
    made_from = list(_sources(folder, record))
    document = _document(folder)
    cited = dict.fromkeys(id for r in (record, *made_from) for id in _cited(r))
    clauses = [
        {"id": p.id, "title": p.title, "text": p.text} for p in document.principles if p.id in cited
    ]
    return {
        "stage": stage,
        "record": record,
        "made_from": made_from,
        "clauses": clauses,
        "constitution": document.digest,
    }


def _document(folder: Path) -> Constitution:
    file = folder / "constitution.json"
    if not file.exists():
        raise DataError("not a run folder", file=folder, expected="a constitution.json in it")
    return msgspec.json.decode(file.read_bytes(), type=Constitution)


def _find(folder: Path, record_id: str) -> tuple[str, dict[str, Any]]:
    for stage, record in _records(folder):
        if _id(record) == record_id:
            return stage, record
    raise DataError(f"no record {record_id!r}", file=folder, expected="an id from a records.jsonl")


def _records(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted(folder.glob(f"*/{RECORDS}")):
        if ".old-" not in file.parent.name:
            with file.open(encoding="utf-8") as stream:
                # A line without its end is still being written, or was cut short by a kill.
                for line in filter(lambda text: text.endswith("\n"), stream):
                    yield file.parent.name, json.loads(line)


def _id(record: dict[str, Any]) -> str | None:
    """The id of a record; samples of training have none."""
    inner = record.get("comparison")
    return inner["id"] if isinstance(inner, dict) else record.get("id")


def _sources(folder: Path, record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if record.get("chain"):
        yield _find(folder, record["chain"])[1]


def _cited(value: Any) -> Iterator[str]:
    """Every principle id that stands anywhere in a record."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in _CLAUSE_FIELDS and isinstance(inner, str):
                yield inner
            else:
                yield from _cited(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _cited(inner)
