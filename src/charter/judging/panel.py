"""The panel: several judges, weighted; their disagreement is kept beside their mean."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from charter.judging.reading import Outcome, Reading, plain, readings
from charter.records import Abstention, Comparison, Judge, digest


@dataclass(frozen=True, slots=True)
class Member:
    """One judge of a panel."""

    name: str
    judge: Judge
    weight: float = 1.0


class PanelJudge:
    """Satisfies `judging.reading.DetailedJudge`.

    Args:
        members: at least one; weights above 0; distinct names.
        quorum: members that must answer; 0 means more than half.
    """

    def __init__(self, members: Sequence[Member], *, quorum: int = 0) -> None:
        assert members and all(m.weight > 0 for m in members)
        assert len({m.name for m in members}) == len(members)
        self.members, self.quorum = tuple(members), quorum or len(members) // 2 + 1

    @property
    def identity(self) -> str:
        """Name and a digest of members, weights and quorum; the members' own are in the report."""
        seats = [(m.name, m.judge.identity, m.weight) for m in self.members]
        names = "+".join(m.name for m in self.members)
        return f"panel({names})@{digest([seats, self.quorum])}"

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        """See `records.Judge`."""
        return plain(self.read(comparisons, principles))

    def read(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[Outcome]]:
        """Weighted mean of the members that answered, with every member's opinion.

        A member that fails on one reading of a comparison is left out of all its readings in the
        batch: the orders of a comparison are then read by the same judges.
        """
        asked = [readings(m.judge, comparisons, principles) for m in self.members]
        # For each comparison and principle, what every member said: [comparison][principle][member]
        said = [list(zip(*rows, strict=True)) for rows in zip(*asked, strict=True)]
        failed = _failed(comparisons, principles, said)
        return [
            [
                self._mean(c, outcomes, failed[c.id, id])
                for id, outcomes in zip(ids, row, strict=True)
            ]
            for c, ids, row in zip(comparisons, principles, said, strict=True)
        ]

    def _mean(
        self, comparison: Comparison, said: Sequence[Outcome], failed: frozenset[int]
    ) -> Outcome:
        kept = [
            (member, reading)
            for place, (member, reading) in enumerate(zip(self.members, said, strict=True))
            if place not in failed and isinstance(reading, Reading)
        ]
        if len(kept) < self.quorum:
            return self._no_quorum(comparison, len(kept), said)
        p = sum(m.weight * r.p for m, r in kept) / sum(m.weight for m, _ in kept)
        return Reading(
            min(1.0, p),  # rounding
            tokens=sum(r.tokens for _, r in kept),
            unread=len(said) - len(kept) + sum(r.unread for _, r in kept),
            members={m.name: r.p for m, r in kept},
        )

    def _no_quorum(
        self, comparison: Comparison, answered: int, said: Sequence[Outcome]
    ) -> Abstention:
        reasons = Counter(o.reason for o in said if isinstance(o, Abstention))
        listed = ", ".join(f"{reason} {n}" for reason, n in sorted(reasons.items()))
        detail = f"{answered} of {len(self.members)} answered; {listed}"
        return Abstention(comparison.id, "no_quorum", self.identity, detail)


def _failed(
    comparisons: Sequence[Comparison],
    principles: Sequence[Sequence[str]],
    said: Sequence[Sequence[Sequence[Outcome]]],
) -> defaultdict[tuple[str, str], frozenset[int]]:
    """Places of the members that abstained from any reading of a comparison under a principle."""
    failed: defaultdict[tuple[str, str], frozenset[int]] = defaultdict(frozenset)
    for comparison, ids, row in zip(comparisons, principles, said, strict=True):
        for id, outcomes in zip(ids, row, strict=True):
            failed[comparison.id, id] |= {
                place for place, o in enumerate(outcomes) if isinstance(o, Abstention)
            }
    return failed
