"""The records of a folder as plain data: a run's stages, and a guard's audit log.

Knows where records lie and how they are named. What is made of them is `back` and `forward`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from charter.constitution import document as documents
from charter.constitution.document import Constitution
from charter.errors import DataError, StoreError
from charter.store import RECORDS, RecordLog, StageFolder

Plain = dict[str, Any]
EVALUATE, FEEDBACK = "evaluate", "feedback"


def records(folder: Path) -> Iterator[tuple[str, Plain]]:
    """(stage, record) of every stage in force; those that were moved aside are passed over."""
    for file in sorted(folder.glob(f"*/{RECORDS}")):
        if ".old-" not in file.parent.name:
            for record in RecordLog(file, Plain):
                yield file.parent.name, record


def requests(folder: Path) -> Iterator[tuple[str, Plain]]:
    """(folder name, line) of every audit log, of a run's guard or of the folder itself."""
    for file in sorted([*folder.glob("audit*.jsonl"), *folder.glob("*/audit*.jsonl")]):
        if ".old-" not in file.parent.name:
            for record in RecordLog(file, Plain):
                yield file.parent.name, record


def find(folder: Path, id: str) -> tuple[str, Plain] | None:
    """The first record of that id."""
    return next(((s, r) for s, r in records(folder) if id_of(r) == id), None)


def id_of(record: Plain) -> str | None:
    """The id of a record or of a request; samples of training have none."""
    inner = record.get("comparison")
    found = inner["id"] if isinstance(inner, dict) else record.get("id", record.get("request"))
    return found if isinstance(found, str) else None


def prompt_of(record: Plain) -> Plain:
    """The prompt that a record is about; empty if it is about none."""
    inner = record.get("comparison")
    prompt = (inner if isinstance(inner, dict) else record).get("prompt")
    return prompt if isinstance(prompt, dict) else {}


def document_of(folder: Path) -> Constitution | None:
    """The document that a run holds; None if it holds none, as a guard's folder does.

    Raises:
        StoreError: it is damaged.
    """
    file = folder / "constitution.json"
    if not file.exists():
        return None
    try:
        return msgspec.json.decode(file.read_bytes(), type=Constitution)
    except msgspec.MsgspecError as error:
        raise StoreError(f"{file}: damaged document: {error}") from error


def in_force(folder: Path, given: str | None) -> tuple[Constitution, list[str]]:
    """The document to trace to, and what a reader has to know about the choice.

    Args:
        folder: a run, or the folder of an audit log.
        given: a document named by the user; it goes before the run's own.

    Raises:
        DataError: the folder holds no document, and no audit log either.
        InputError: the given document cannot be read.
    """
    own = document_of(folder)
    if given is not None:
        return documents.load(given), []
    if own is not None:
        return own, []
    if not any(folder.glob("audit*.jsonl")):
        raise DataError("not a run folder", file=folder, expected="a constitution.json in it")
    note = (
        "an audit log names clauses, not their document: this is the shipped one (--constitution)"
    )
    return documents.load(documents.DEFAULT), [note]


def label_notes(folder: Path) -> Plain:
    """What the labelling stage noted when it finished: its judge, digests of its principles."""
    manifest = StageFolder(folder / FEEDBACK, FEEDBACK, "").manifest
    return manifest.notes if manifest else {}
