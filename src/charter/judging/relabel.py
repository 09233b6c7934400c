"""Labels after an edit of the constitution: old votes are kept, only what changed is asked.

Owns what is taken over and what is asked, and the count of both. A reading depends on the judge,
the comparison and the wording of one principle, so a vote holds as long as these three do. Knows
nothing of files: `earlier` keeps the labels of before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from charter.constitution.document import Principle
from charter.constitution.priorities import Before
from charter.judging.labeling import aggregate, label
from charter.judging.precedence import NONE, settled
from charter.records import (
    Abstention,
    Comparison,
    Judge,
    Label,
    Labelled,
    PrincipleVote,
    Record,
    Verdict,
)
from charter.statistics import Rate, wilson

Drawn = Sequence[tuple[str, float]]
"""Principles of one comparison, with their weights."""
CHANGED, NEW, UNREAD = "changed", "new", "unread"


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of one comparison's votes.

    Attributes:
        kept: votes taken over.
        asked: (principle, weight) pairs that the judge must read.
        why: for each asked one: its text has `changed`, it is `new`, or nobody has `unread` it
            (it was not drawn then, or the judge abstained).
        dropped: principles that voted and have no say any more.
    """

    kept: tuple[PrincipleVote, ...]
    asked: tuple[tuple[str, float], ...]
    why: tuple[str, ...]
    dropped: tuple[str, ...]


class Edit:
    """Which principles an edit left alone.

    Args:
        before: digest of every principle when the labels were made, by id.
        after: the same for the constitution now in force.
    """

    def __init__(self, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        self.before, self.after = before, after

    def plan(self, old: Label, drawn: Drawn) -> Plan:
        """What is kept of an old label under the principles now drawn, and what is asked."""
        votes = {v.principle: v for v in old.votes} if isinstance(old, Verdict) else {}
        held = {id: v for id, v in votes.items() if self.before.get(id) == self.after.get(id)}
        wanted = dict(drawn)
        # The weight is the constitution's or the recipe's affair, not part of the reading.
        kept = tuple(replace(held[id], weight=weight) for id, weight in drawn if id in held)
        asked = tuple((id, weight) for id, weight in drawn if id not in held)
        why = tuple(self._why(id) for id, _ in asked)
        return Plan(kept, asked, why, tuple(id for id in votes if id not in wanted))

    def _why(self, principle: str) -> str:
        if principle not in self.before:
            return NEW
        return UNREAD if self.before[principle] == self.after.get(principle) else CHANGED


def relabel(
    judge: Judge,
    comparisons: Sequence[Comparison],
    drawn: Sequence[Drawn],
    old: Sequence[Label],
    edit: Edit,
    *,
    before: Before = NONE,
) -> list[Label]:
    """Label comparisons again, asking the judge only for votes that the old labels do not hold.

    Args:
        judge: the one that gave the old labels; asked in both orders (see `labeling.label`).
        comparisons: those that the old labels are about.
        drawn: for each comparison, its principles and weights now.
        old: the label of each comparison before the edit.
        edit: what changed.
        before: priorities of the document now in force; they may turn a label round without a call.

    Returns:
        one label a comparison, in order. A label whose votes are all kept is the old one.
    """
    plans = [edit.plan(o, d) for o, d in zip(old, drawn, strict=True)]
    due = [i for i, plan in enumerate(plans) if plan.asked or not plan.kept]
    answers = _asked(judge, [comparisons[i] for i in due], [plans[i].asked for i in due])
    fresh: dict[int, Label] = dict(zip(due, answers, strict=True))
    return [
        _merged(known, plan, fresh.get(i), principles, before)
        for i, (known, plan, principles) in enumerate(zip(old, plans, drawn, strict=True))
    ]


def _asked(judge: Judge, comparisons: Sequence[Comparison], drawn: Sequence[Drawn]) -> list[Label]:
    """As `label`; a judge that has nothing to do is left alone."""
    return label(judge, comparisons, drawn) if comparisons else []


def _merged(old: Label, plan: Plan, fresh: Label | None, drawn: Drawn, before: Before) -> Label:
    """The kept and the new votes in the order of the principles, aggregated again."""
    votes = {v.principle: v for v in plan.kept}
    if isinstance(fresh, Verdict):
        votes |= {v.principle: v for v in fresh.votes}
    if not votes:
        assert isinstance(fresh, Abstention)
        return fresh
    known = [answer for answer in (old, fresh) if isinstance(answer, Verdict)]
    ordered = settled([votes[id] for id, _ in drawn if id in votes], before)
    if isinstance(old, Verdict) and ordered == old.votes:
        return old
    tokens = sum(verdict.tokens for verdict in known)
    return replace(known[0], p_a=aggregate(ordered), votes=ordered, tokens=tokens)


class RelabelSummary(Record, frozen=True):
    """What an edit did to the labels: `notes.relabel` of the manifest.

    Attributes:
        kept: votes taken over as they were.
        asked: votes the judge was asked for, each in both orders.
        asked_because: those by reason, `changed`, `new` or `unread`.
        dropped: votes of principles that have no say any more.
        flipped: verdicts, among those that are verdicts before and after, whose P(A) crossed 1/2.
        flipped_ids: their comparisons.
        now_verdicts: comparisons that were abstained from and now have a verdict.
        now_abstained: comparisons that had a verdict and now have none.
    """

    kept: int
    asked: int
    asked_because: dict[str, int]
    dropped: int
    flipped: Rate
    flipped_ids: tuple[str, ...]
    now_verdicts: tuple[str, ...]
    now_abstained: tuple[str, ...]

    def text(self) -> str:
        """Two lines for people."""
        reasons = ", ".join(f"{why} {n}" for why, n in sorted(self.asked_because.items()))
        because = f" ({reasons})" if reasons else ""
        rate = self.flipped
        share = f" ({rate.value:.1%}, 95 % {rate.low:.1%} to {rate.high:.1%})" if rate.n else ""
        return (
            f"votes: {self.kept} kept, {self.asked} asked{because}, {self.dropped} dropped\n"
            f"verdicts: {len(self.flipped_ids)} of {rate.n} flipped{share}; from abstention"
            f" {len(self.now_verdicts)}, to abstention {len(self.now_abstained)}"
        )


@dataclass(slots=True)
class Changes:
    """Counts what `relabel` did, one record at a time. Memory grows with the changes alone."""

    edit: Edit
    kept: int = 0
    dropped: int = 0
    both: int = 0
    why: Counter[str] = field(default_factory=Counter)
    ids: dict[str, list[str]] = field(
        default_factory=lambda: {"flipped": [], "now_verdicts": [], "now_abstained": []}
    )

    def add(self, old: Label, new: Labelled, drawn: Drawn) -> None:
        """Count one comparison."""
        plan = self.edit.plan(old, drawn)
        self.kept += len(plan.kept)
        self.dropped += len(plan.dropped)
        self.why.update(plan.why)
        self._count_verdicts(old, new)

    def summary(self) -> RelabelSummary:
        """The figures so far."""
        ids = {name: tuple(found) for name, found in self.ids.items()}
        return RelabelSummary(
            self.kept,
            self.why.total(),
            dict(self.why),
            self.dropped,
            wilson(len(ids["flipped"]), self.both),
            ids["flipped"],
            ids["now_verdicts"],
            ids["now_abstained"],
        )

    def _count_verdicts(self, old: Label, new: Labelled) -> None:
        id, after = new.comparison.id, new.label
        if isinstance(old, Verdict) and isinstance(after, Verdict):
            self.both += 1
            # A tie is on neither side: going to it or leaving it is no crossing.
            if (old.p_a - 0.5) * (after.p_a - 0.5) < 0:
                self.ids["flipped"].append(id)
        elif isinstance(after, Verdict):
            self.ids["now_verdicts"].append(id)
        elif isinstance(old, Verdict):
            self.ids["now_abstained"].append(id)


def digests(principles: Iterable[Principle]) -> dict[str, str]:
    """Digest of every principle of a constitution, by id."""
    return {p.id: p.digest for p in principles}
