"""`charter show`: what an id or a text stands for, and its way through the constitution.

Owns the order in which a name is looked up: a record, a guarded request, a clause, a message.
Backwards (`back`) leads to clause, version and judge, forwards (`forward`) to what a clause did.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from charter.errors import DataError
from charter.tracing import back, forward
from charter.tracing.folder import document_of, find, id_of, in_force, requests

_EXPECTED = (
    "an id from a records.jsonl or an audit.jsonl, the id of a clause or of a prompt, or the words "
    "of a message"
)


def trace(run: str | Path, what: str, *, constitution: str | None = None) -> dict[str, Any]:
    """What stands behind a record, a request or a message; or what a clause was used for.

    Args:
        run: a run folder, or the folder of a guard's audit log.
        what: the id of a record, of a guarded request, of a clause or of a prompt; or the whole
            text of a message, a draft, a revision or an answer.
        constitution: the document to trace to; the run's own if None.

    Returns:
        `kind` (record, request, clause or message), `name`, `version` and `constitution` (digest)
        of the document, `notes`, and what `back` and `forward` say of that kind.

    Raises:
        DataError: nothing has that name, or the folder is no run.
        StoreError: a record is damaged.
    """
    folder = Path(run)
    found = find(folder, what)
    asked = next(((s, r) for s, r in requests(folder) if id_of(r) == what), None)
    if not found and not asked and not _could_be_other(folder):
        raise DataError(f"no record {what!r}", file=folder, expected=_EXPECTED)
    document, notes = in_force(folder, constitution)
    if found:
        return back.of_record(folder, document, *found, notes)
    if asked:
        return back.of_request(document, *asked, notes)
    if any(p.id == what for p in document.principles):
        return forward.of_clause(folder, document, what, notes)
    said = back.of_message(folder, document, what, notes)
    if said is None:
        raise DataError(f"no record {what!r}", file=folder, expected=_EXPECTED)
    return said


def _could_be_other(folder: Path) -> bool:
    """Whether the folder has anything in which a clause or a message could be looked for."""
    return document_of(folder) is not None or any(folder.glob("audit*.jsonl"))
