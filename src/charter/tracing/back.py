"""Backwards: from a record, a guarded request or a message to clauses, version and judge."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from charter.constitution.dependence import cited
from charter.constitution.document import Constitution
from charter.tracing import folder as folders
from charter.tracing.folder import EVALUATE, FEEDBACK, Plain, id_of, prompt_of

_START = "base"
"""Name of the evaluated model that nothing was trained into."""
_TEXTS = frozenset(
    {"content", "draft", "critique", "revision", "answer", "a", "b", "text", "completion"}
)


def of_record(
    folder: Path, document: Constitution, stage: str, record: Plain, notes: Sequence[str]
) -> dict[str, Any]:
    """A record with the records it was made from, its clauses and its judge."""
    made_from = list(_sources(folder, record))
    ids, by = _clauses_of(document, stage, [record, *made_from])
    return {
        "kind": "record",
        "stage": stage,
        "record": record,
        "made_from": made_from,
        "clauses": _clauses(document, ids),
        "clauses_by": by,
        "judge": _judge(folder, stage, record),
        **about(document),
        "notes": [*notes, *_since(folder, document, stage, [record, *made_from], ids)],
    }


def of_request(
    document: Constitution, log: str, record: Plain, notes: Sequence[str]
) -> dict[str, Any]:
    """An exchange that a guard saw, with the clauses of its verdict and the classifier."""
    ids = list(dict.fromkeys(cited(record)))
    unknown = [id for id in ids if all(p.id != id for p in document.principles)]
    missing = [f"clause {id!r} is not in this document" for id in unknown]
    return {
        "kind": "request",
        "stage": log,
        "record": record,
        "made_from": [],
        "clauses": _clauses(document, ids),
        "clauses_by": "verdict",
        "judge": record.get("classifier"),
        **about(document),
        "notes": [*notes, *missing],
    }


def of_message(
    folder: Path, document: Constitution, text: str, notes: Sequence[str]
) -> dict[str, Any] | None:
    """Every record in which a message stands, or whose prompt has that id; None without any."""
    found: list[dict[str, Any]] = []
    clauses: dict[str, None] = {}
    judges: dict[str, None] = {}
    for stage, record in _everything(folder):
        where = _where(record, text)
        if where:
            found.append({"stage": stage, "id": id_of(record), "where": where})
            sources = [record, *_sources(folder, record)]
            clauses |= dict.fromkeys(_clauses_of(document, stage, sources)[0])
            judge = _judge(folder, stage, record)
            judges |= {judge: None} if judge else {}
    if not found:
        return None
    return {
        "kind": "message",
        "message": text,
        "records": found,
        "clauses": _clauses(document, clauses),
        "judges": list(judges),
        **about(document),
        "notes": list(notes),
    }


def about(document: Constitution) -> dict[str, Any]:
    """Which document is spoken of: name, version, digest."""
    return {"name": document.name, "version": document.version, "constitution": document.digest}


def _everything(folder: Path) -> Iterator[tuple[str, Plain]]:
    yield from folders.records(folder)
    yield from folders.requests(folder)


def _sources(folder: Path, record: Plain) -> Iterator[Plain]:
    chain = record.get("chain")
    found = folders.find(folder, chain) if isinstance(chain, str) and chain else None
    if found:
        yield found[1]


def _clauses_of(
    document: Constitution, stage: str, records: Sequence[Plain]
) -> tuple[list[str], str]:
    """Ids of clauses, and whether the records cite them or the category of their prompt does."""
    ids = list(dict.fromkeys(id for record in records for id in cited(record)))
    if ids or stage != EVALUATE:
        return ids, "record"
    category = prompt_of(records[0]).get("category")
    named = (c.principles for c in document.categories.harmful if c.id == category)
    return [id for principles in named for id in principles], "category"


def _clauses(document: Constitution, ids: Any) -> list[dict[str, str]]:
    wanted = set(ids)
    return [
        {"id": p.id, "title": p.title, "text": p.text}
        for p in document.principles
        if p.id in wanted
    ]


def _judge(folder: Path, stage: str, record: Plain) -> str | None:
    """Who gave the label; for an answer of a trained model, whose labels it was trained on."""
    label = record.get("label")
    if isinstance(label, dict):
        return str(label.get("judge"))
    if "classifier" in record:
        return str(record["classifier"])
    if stage != EVALUATE or record.get("model") == _START:
        return None
    said = folders.label_notes(folder).get("statistics", {}).get("judge")
    return None if said is None else str(said)


def _since(
    folder: Path, document: Constitution, stage: str, records: Sequence[Plain], ids: Sequence[str]
) -> Iterator[str]:
    """What of the document has changed since a record was made."""
    origins = (record.get("origin") for record in records)
    under = {o["constitution"] for o in origins if isinstance(o, dict) and o.get("constitution")}
    for digest in sorted(under - {document.digest}):
        yield f"made under constitution {digest}; the run now holds {document.digest}"
    then = folders.label_notes(folder).get("principles", {}) if stage == FEEDBACK else {}
    now = {p.id: p.digest for p in document.principles}
    for id in ids:
        if id not in now:
            yield f"clause {id!r} is not in this document"
        elif then.get(id, now[id]) != now[id]:
            yield f"clause {id!r} has other words now than when it was voted on"


def _where(record: Plain, text: str) -> str:
    """Where a message stands in a record: a path, `prompt` for its prompt's id, or ""."""
    if prompt_of(record).get("id") == text:
        return "prompt"
    if "sha256" in str(record.get("prompt")) and _hashed(record, text):
        return _hashed(record, text)
    return next((path for path, value in _texts(record) if value.strip() == text.strip()), "")


def _hashed(record: Plain, text: str) -> str:
    """Audit logs keep digests: of the conversation as `role: text` lines, and of each answer."""
    user = _sha256(f"user: {text}")
    if (record.get("prompt") or {}).get("sha256") in (user, _sha256(text)):
        return "prompt"
    answers = record.get("answers") or []
    places = (i for i, answer in enumerate(answers) if answer.get("sha256") == _sha256(text))
    return next((f"answers[{i}]" for i in places), "")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _texts(value: Any, path: str = "", is_text: bool = False) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and is_text:
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, f"{path}.{key}".lstrip("."), key in _TEXTS)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _texts(inner, f"{path}[{place}]")
