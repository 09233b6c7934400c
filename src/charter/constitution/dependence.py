"""What of a run depends on a change of its document.

A critique depends on the wording that its clause has for critics; a vote on any wording of its
clause, by the same rule as a relabel; a verdict on its votes, their weights, and who goes before
whom among them. Models are trained
on all of them, so once one is touched, every answer of a trained model in the evaluation depends
on the change as well. Records of any other stage count where they cite a clause by id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from charter.constitution.clauses import Constitution
from charter.constitution.diff import Diff, PrincipleChange
from charter.errors import DataError, StoreError
from charter.records import Record
from charter.store import RECORDS, RecordLog

_CITING = ("principle", "principles", "clause", "clauses")
_CRITIQUE, _FEEDBACK, _EVALUATE = "critique", "feedback", "evaluate"
_TO_LABELS = {"dropped", "renamed", "reworded", "exceptions", "weight", "priority"}
_TO_ANY = _TO_LABELS - {"priority"}
_AUDIT = "audit*.jsonl"
"""Where a guard notes its decisions."""
_START = "base"
"""Name of the evaluated model that nothing was trained into."""


class Uses(Record, frozen=True):
    """Records of one run that cite one changed clause, by its id in the old document.

    Attributes:
        principle: that id.
        kinds: what happened to the clause.
        chains: ids of critique chains with a step that cites it.
        steps: how many such steps.
        verdicts: comparisons with a vote under it.
        others: ids of records of other stages, by stage (the guard's decisions, for one).
    """

    principle: str
    kinds: tuple[str, ...]
    chains: tuple[str, ...]
    steps: int
    verdicts: tuple[str, ...]
    others: dict[str, tuple[str, ...]]


class Dependence(Record, frozen=True):
    """What of a run depends on a diff.

    Attributes:
        run: the folder.
        made_under: digest of the document that the folder holds ("" if it holds none); if it is
            not the old one, the figures below are about other clauses.
        uses: a row for each clause that changed, if any record cites it.
        chains: how many chains cite a changed clause, of how many.
        verdicts: how many verdicts rest on a changed clause, of how many.
        redrawn: whether clauses or weights changed, so that a new run would draw other ones.
        evaluate: answers of trained models, all of which depend on the change, of how many.
    """

    run: str
    made_under: str
    uses: tuple[Uses, ...]
    chains: tuple[int, int]
    verdicts: tuple[int, int]
    redrawn: bool
    evaluate: tuple[int, int]


def dependence(found: Diff, run: str | Path) -> Dependence:
    """Which records of a run depend on a change.

    Args:
        found: from the document that the run was made under to the new one.
        run: the run folder.

    Raises:
        DataError: it is no run folder.
        StoreError: a record is damaged.
    """
    folder = Path(run)
    logs = [p for name in (RECORDS, _AUDIT) for p in sorted(folder.glob(f"*/{name}"))]
    logs = [p for p in logs if ".old-" not in p.parent.name]
    if not logs:
        raise DataError("no records", file=folder, expected="a run folder")
    tally = _Tally(found)
    for log in logs:
        for record in RecordLog(log, dict[str, Any]):
            tally.add(log.parent.name, record)
    return tally.result(str(run), _made_under(folder))


class _Tally:
    """One pass over all records of a run."""

    def __init__(self, found: Diff) -> None:
        old = [change for change in found.principles if change.old_id]
        of_labels = [c for c in old if _TO_LABELS & set(c.kinds)]
        of_chains = [c for c in of_labels if _changes_critiques(c)]
        self.kinds = {c.old_id: c.kinds for c in of_labels}
        self.touching = {
            _CRITIQUE: {c.old_id for c in of_chains},
            _FEEDBACK: {c.old_id for c in of_labels},
        }
        self.ranked = {c.old_id for c in of_labels if not _TO_ANY & set(c.kinds)}
        self.elsewhere = self.kinds.keys() - self.ranked
        self.redrawn = bool(found.of_kind("added", "dropped", "weight", "tags", "moved"))
        self.totals = Counter[str]()
        self.touched: dict[str, set[str]] = {_CRITIQUE: set(), _FEEDBACK: set()}
        self.steps = Counter[str]()
        self.cited: dict[str, dict[str, list[str]]] = {id: {} for id in self.kinds}
        self.answers: list[str] = []

    def add(self, stage: str, record: dict[str, Any]) -> None:
        self.totals[stage] += 1
        if stage == _EVALUATE:
            self.answers.append(str(record.get("model")))
        inner = record.get("comparison")
        id = str(inner["id"]) if isinstance(inner, dict) else _id(record)
        touching = self.touching.get(stage, self.elsewhere)
        clauses = list(cited(record))
        # A priority says who wins among several votes; one that is alone wins anyway.
        alone = self.ranked if len(set(clauses)) < 2 else set()
        counted = Counter(c for c in clauses if c in touching and c not in alone)
        for clause, times in counted.items():
            self.cited[clause].setdefault(stage, []).append(id)
            self.steps[clause] += times if stage == _CRITIQUE else 0
        if counted and stage in self.touched:
            self.touched[stage].add(id)

    def result(self, run: str, made_under: str) -> Dependence:
        chains, verdicts = len(self.touched[_CRITIQUE]), len(self.touched[_FEEDBACK])
        trained = sum(model != _START for model in self.answers)
        depends = trained if chains or verdicts or self.redrawn else 0
        return Dependence(
            run,
            made_under,
            tuple(self._uses()),
            (chains, self.totals[_CRITIQUE]),
            (verdicts, self.totals[_FEEDBACK]),
            self.redrawn,
            (depends, self.totals[_EVALUATE]),
        )

    def _uses(self) -> Iterator[Uses]:
        for id, stages in self.cited.items():
            if stages:
                yield Uses(
                    id,
                    self.kinds[id],
                    tuple(stages.get(_CRITIQUE, ())),
                    self.steps[id],
                    tuple(stages.get(_FEEDBACK, ())),
                    {s: tuple(ids) for s, ids in stages.items() if s not in (_CRITIQUE, _FEEDBACK)},
                )


def _changes_critiques(change: PrincipleChange) -> bool:
    """Whether a critic would have been asked something else, or the citation leads nowhere."""
    if {"dropped", "renamed", "exceptions"} & set(change.kinds):
        return True
    return any(f.field in ("text", "critique_request", "revision_request") for f in change.fields)


def _made_under(folder: Path) -> str:
    file = folder / "constitution.json"
    if not file.exists():
        return ""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Constitution).digest
    except msgspec.MsgspecError as error:
        raise StoreError(f"{file}: damaged document: {error}") from error


def _id(record: dict[str, Any]) -> str:
    return str(record.get("id") or record.get("request") or "")


def cited(value: Any, citing: bool = False) -> Iterator[str]:
    """Every principle id that stands in a record where clauses are cited."""
    if isinstance(value, str) and citing:
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from cited(inner, key in _CITING)
    elif isinstance(value, list):
        for inner in value:
            yield from cited(inner, citing)
