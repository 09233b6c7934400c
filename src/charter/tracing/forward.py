"""Forwards: from a clause to its uses, what its votes are like, and how often it is violated.

The rates are those of `judging.label_statistics` on this clause's votes alone, and those of the
audit of the run. Nothing is asked of a model.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from charter.constitution.dependence import cited
from charter.constitution.document import Constitution
from charter.constitution.priorities import CLEAR, before
from charter.evaluate.audit import audit
from charter.judging.label_statistics import LabelStatistics
from charter.records import Labelled, Verdict
from charter.statistics import wilson
from charter.store import RECORDS, RecordLog
from charter.tracing import folder as folders
from charter.tracing.back import about
from charter.tracing.folder import EVALUATE, FEEDBACK, id_of

SHOWN = 20
"""Ids listed for each stage; all are counted."""
_NOT_MEASURED = "no evaluated prompt speaks of it, or no scorer can read whether it is violated"


def of_clause(
    folder: Path, document: Constitution, id: str, notes: Sequence[str]
) -> dict[str, Any]:
    """A clause, where it stands among the others, and all that a run did with it."""
    principle = document.principle(id)
    first = before(document)
    halves = document.categories
    return {
        "kind": "clause",
        "clause": {**msgspec.to_builtins(principle), "digest": principle.digest},
        "goes_before": sorted(first.get(id, ())),
        "gives_way_to": [other for other, below in first.items() if id in below],
        "categories": [c.id for c in (*halves.harmful, *halves.harmless) if id in c.principles],
        "uses": _uses(folder, id),
        "labels": _labels(folder, id),
        "violations": _violations(folder, id),
        **about(document),
        "notes": list(notes),
    }


def _uses(folder: Path, clause: str) -> dict[str, Any]:
    """By stage: how many records cite it, how often, and which; and the requests it blocked."""
    found: dict[str, dict[str, Any]] = {}
    chains: set[str] = set()
    for stage, record in folders.records(folder):
        times = sum(id == clause for id in cited(record))
        if times and stage == "critique":
            chains.add(str(id_of(record)))
        # A demonstration cites no clause: it is a step of a chain that does.
        if times or record.get("chain") in chains:
            _count(found, stage, id_of(record), times)
    for log, record in folders.requests(folder):
        if clause in cited(record):
            _count(found, log, id_of(record), 1)
            blocked = record.get("state") == "blocked"
            found[log]["blocked"] = found[log].get("blocked", 0) + blocked
    return found


def _count(found: dict[str, dict[str, Any]], stage: str, id: str | None, times: int) -> None:
    use = found.setdefault(stage, {"records": 0, "citations": 0, "ids": []})
    use["records"] += 1
    use["citations"] += times
    if id is not None and len(use["ids"]) < SHOWN:
        use["ids"].append(id)


def _labels(folder: Path, clause: str) -> dict[str, Any] | None:
    """Statistics of its votes; None if the run has no labels."""
    log = RecordLog(folder / FEEDBACK / RECORDS, Labelled)
    if not log.path.exists():
        return None
    votes = _Votes(clause)
    for labelled in log:
        votes.add(labelled)
    return votes.summary()


class _Votes:
    """Counts the votes of one clause. Memory does not grow with them."""

    def __init__(self, clause: str) -> None:
        self.clause, self.statistics = clause, LabelStatistics()
        self.clear = self.sided = self.with_verdict = self.gave_way = self.abstained = 0

    def add(self, labelled: Labelled) -> None:
        label = labelled.label
        if not isinstance(label, Verdict):
            self.abstained += 1
            return
        for vote in (v for v in label.votes if v.principle == self.clause):
            alone = replace(label, p_a=vote.p_a, votes=(vote,))
            self.statistics.add(replace(labelled, label=alone))
            own, whole = vote.p_a - 0.5, label.p_a - 0.5
            self.clear += abs(own) >= CLEAR
            self.sided += own * whole != 0
            self.with_verdict += own * whole > 0
            self.gave_way += vote.weight == 0

    def summary(self) -> dict[str, Any]:
        """Of `LabelStatistics`, and: clear votes, those on the verdict's side, those overruled.

        An abstention names no clause, so the run's are counted.
        """
        alone = self.statistics.summary()
        found = {k: v for k, v in alone.items() if not k.startswith("abst")}
        found |= {
            "clear": wilson(self.clear, self.statistics.n),
            "with_verdict": wilson(self.with_verdict, self.sided),
            "gave_way": self.gave_way,
            "abstained_in_run": self.abstained,
        }
        return dict(msgspec.to_builtins(found))


def _violations(folder: Path, clause: str) -> dict[str, Any]:
    """Of the run's audit: rates by model, before and after; or why there are none."""
    if not (folder / EVALUATE / RECORDS).exists():
        return {"measured": False, "reason": "the run has no evaluation"}
    found = audit(folder)
    for one in found.clauses:
        if one.id == clause:
            plain = msgspec.to_builtins(one)
            rates = {key: plain[key] for key in ("violation", "models", "change")}
            return {"measured": True, "before": found.before, "after": found.after, **rates}
    return {"measured": False, "reason": _NOT_MEASURED}
