"""Specification gaps: clauses about which those who apply them part.

They are judges of a panel, the two orders of presentation, or wordings of the same question.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from charter.constitution.document import Constitution
from charter.records import Labelled, PrincipleVote, Record, Verdict
from charter.statistics import Rate, wilson

WORST = 3
"""Comparisons named for each clause."""
_HALF = 0.5
Wordings = Mapping[str, Sequence[bool]]
"""By clause: for each comparison asked about, whether rewordings parted."""


class Gap(Record, frozen=True):
    """How far those who apply a clause part about it. None: there was nothing to compare."""

    id: str
    title: str
    votes: int
    orders: Rate | None
    """Votes whose preferred answer changes with the order of presentation."""
    judges: Rate | None
    """Votes on which members of a panel prefer different answers."""
    wordings: Rate | None
    """Comparisons on which rewordings of the question prefer different answers."""
    undecided: Rate | None
    """Votes nearer to one half than 0.1."""
    worst: list[str]
    """Comparisons with the widest gap."""

    @property
    def width(self) -> float:
        """The largest of the shares that are known; gaps are sorted by it."""
        known = (self.orders, self.judges, self.wordings)
        return max((rate.value for rate in known if rate is not None and rate.n), default=0.0)


class Votes:
    """Counts of votes by clause, one label at a time."""

    def __init__(self) -> None:
        self.labels = self.abstained = 0
        self._counts: dict[str, list[int]] = defaultdict(lambda: [0] * 5)
        """Votes, order flips, votes of panels, panels that parted, undecided."""
        self._worst: dict[str, list[tuple[float, str]]] = defaultdict(list)

    def add(self, labelled: Labelled) -> None:
        """Count one label."""
        self.labels += 1
        if not isinstance(labelled.label, Verdict):
            self.abstained += 1
            return
        for vote in labelled.label.votes:
            self._count(vote)
            gap = max(abs(vote.p_as_given - vote.p_swapped), _span(vote))
            worst = self._worst[vote.principle]
            heapq.heappush(worst, (gap, labelled.comparison.id))
            if len(worst) > WORST:
                heapq.heappop(worst)

    def gaps(self, document: Constitution, wordings: Wordings) -> list[Gap]:
        """Widest first."""
        titles = {p.id: p.title for p in document.principles}
        ids = [id for id in titles if id in self._counts or id in wordings]
        found = [self._gap(id, titles[id], wordings.get(id)) for id in ids]
        return sorted(found, key=lambda gap: -gap.width)

    def _count(self, vote: PrincipleVote) -> None:
        counts = self._counts[vote.principle]
        members = vote.members.values()
        counts[0] += 1
        counts[1] += (vote.p_as_given - _HALF) * (vote.p_swapped - _HALF) < 0
        counts[2] += len(members) > 1
        counts[3] += len(members) > 1 and min(members) < _HALF < max(members)
        counts[4] += abs(vote.p_a - _HALF) < 0.1

    def _gap(self, id: str, title: str, wordings: Sequence[bool] | None) -> Gap:
        votes, flips, panels, parted, undecided = self._counts[id]
        widest = sorted(self._worst[id], key=lambda pair: (-pair[0], pair[1]))
        return Gap(
            id,
            title,
            votes,
            wilson(flips, votes) if votes else None,
            wilson(parted, panels) if panels else None,
            wilson(sum(wordings), len(wordings)) if wordings else None,
            wilson(undecided, votes) if votes else None,
            [comparison for gap, comparison in widest if gap > 0],
        )


def parted(readings: Iterable[Sequence[float]]) -> list[bool]:
    """For each comparison, whether the wordings of one question prefer different answers.

    Args:
        readings: P(A better) in every wording; one that hits one half exactly sides with nobody.
    """
    return [min(row) < _HALF < max(row) for row in readings]


def _span(vote: PrincipleVote) -> float:
    members = vote.members.values()
    return max(members) - min(members) if members else 0.0
