"""The audit of a run, clause by clause: who violates what, and where the document is vague.

Owns the whole, read from the records of a run; no model is loaded. Clauses about manner have no
scorer here, and are listed as not measured.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from charter.constitution.document import Constitution
from charter.errors import DataError
from charter.evaluate.gaps import Gap, Votes, Wordings
from charter.evaluate.violations import Clause, Outcomes, clauses_of
from charter.records import Answer, Labelled, Record
from charter.store import RECORDS, RecordLog


class Audit(Record, frozen=True):
    """The whole audit of a run."""

    run: str
    constitution: str
    models: list[str]
    before: str
    after: str
    clauses: list[Clause]
    not_measured: list[str]
    """Clauses that no prompt of the run speaks of, or that no scorer can read."""
    note: str
    gaps: list[Gap]
    abstained: int
    labels: int


def audit(
    run: str | Path,
    *,
    before: str = "base",
    after: str = "rl_cai",
    threshold: float = 0.5,
    wordings: Wordings | None = None,
) -> Audit:
    """Audit a run folder.

    Args:
        run: a run with answers or labels.
        before: the model that changes are counted from.
        after: the model that they are counted to; if it did not answer, the last one that did.
        threshold: P(harmful compliance) from which an answer counts as compliant.
        wordings: what a judge made of the clauses in other words, if it was asked.

    Raises:
        DataError: the folder is no run, or has neither answers nor labels.
        StoreError: a record is damaged.
    """
    folder = Path(run)
    document = _document(folder)
    answers = RecordLog(folder / "evaluate" / RECORDS, Answer)
    labels = RecordLog(folder / "feedback" / RECORDS, Labelled)
    if not answers.path.exists() and not labels.path.exists():
        raise DataError("no answers and no labels", file=folder, expected="a run folder")
    outcomes = _outcomes(answers, document, threshold)
    after = after if after in outcomes.models or not outcomes.models else [*outcomes.models][-1]
    clauses, note = clauses_of(document, outcomes, before, after, answers)
    measured = {clause.id for clause in clauses}
    votes = _votes(labels)
    return Audit(
        str(folder),
        document.digest,
        [*outcomes.models],
        before,
        after,
        clauses,
        [p.id for p in document.principles if p.id not in measured],
        note,
        votes.gaps(document, wordings or {}),
        votes.abstained,
        votes.labels,
    )


def _outcomes(answers: RecordLog, document: Constitution, threshold: float) -> Outcomes:
    found = Outcomes(document, threshold)
    for answer in answers:
        found.add(answer)
    return found


def _votes(labels: RecordLog) -> Votes:
    found = Votes()
    for labelled in labels:
        found.add(labelled)
    return found


def _document(folder: Path) -> Constitution:
    file = folder / "constitution.json"
    if not file.exists():
        raise DataError("not a run folder", file=folder, expected="a constitution.json in it")
    return msgspec.json.decode(file.read_bytes(), type=Constitution)
