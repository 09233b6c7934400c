"""Group-aware consensus: what every opinion group agrees with, not merely the largest.

    GAC = product over groups of (agree + 1) / (seen + 2)

where a pass counts as seen (Small et al. 2021, on group-informed consensus; Huang et al. 2024).
Each factor is the mean of a Beta distribution: the posterior of the group's share under a uniform
prior. So the product has an interval, the central 95 % of the product of these distributions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import betaincinv

from charter.collective.groups import Floats
from charter.collective.votes import Ints, VoteMatrix
from charter.records import Record
from charter.statistics import Rate, wilson

_TAIL = 0.025


class GroupVotes(Record, frozen=True):
    """What one opinion group said about one statement."""

    agree: int
    seen: int
    """Agreed, disagreed or passed."""
    disagree: int
    passed: int
    unseen: int
    """Members of the group who never voted on it: nothing is known of their opinion."""
    rate: Rate
    """Share of those who saw it and agree, with its Wilson interval."""


class Statement(Record, frozen=True):
    """A statement with its consensus."""

    id: int
    text: str
    gac: float
    """Group-aware consensus, 0 to 1."""
    gac_low: float
    gac_high: float
    gac_against: float
    """The same measure for disagreement: high where every group rejects the statement."""
    by_group: tuple[GroupVotes, ...]
    selected: bool
    """At or above the threshold."""
    divisive: bool
    """In one group a majority agrees, in another none does, and both intervals say so."""


class Counts:
    """Votes by group and statement, each (groups, M)."""

    def __init__(self, matrix: VoteMatrix, labels: Ints) -> None:
        self.sizes = tuple(int(size) for size in np.bincount(labels))
        tally = matrix.tally(labels, len(self.sizes))
        self.disagree, self.passed, self.agree = np.moveaxis(tally, 2, 0)
        self.seen = self.agree + self.disagree + self.passed

    def consensus(self) -> Floats:
        """Group-aware consensus of each statement (M)."""
        return group_aware(self.agree, self.seen)

    def against(self) -> Floats:
        """Group-aware rejection of each statement (M)."""
        return group_aware(self.disagree, self.seen)

    def of_statement(self, at: int) -> tuple[GroupVotes, ...]:
        """The votes of every group on the statement in column `at`."""
        return tuple(self._votes(group, at) for group in range(len(self.sizes)))

    def _votes(self, group: int, at: int) -> GroupVotes:
        agree, seen = int(self.agree[group, at]), int(self.seen[group, at])
        return GroupVotes(
            agree,
            seen,
            int(self.disagree[group, at]),
            int(self.passed[group, at]),
            self.sizes[group] - seen,
            wilson(agree, seen),
        )


def group_aware(chosen: Ints, seen: Ints) -> Floats:
    """Product over groups of the smoothed shares.

    Args:
        chosen: how many of each group chose it (groups, M).
        seen: how many of each group saw it (groups, M).
    """
    shares: Floats = (chosen + 1) / (seen + 2)
    return np.asarray(shares.prod(axis=0), dtype=np.float64)


def statements(
    ids: Sequence[int], texts: Sequence[str], counts: Counts, threshold: float
) -> tuple[Statement, ...]:
    """Every statement with its consensus, highest first; equals by id."""
    gac, against = counts.consensus(), counts.against()
    low, high = interval(counts.agree, counts.seen)
    order = sorted(range(len(ids)), key=lambda at: (-gac[at], ids[at]))
    found = []
    for at in order:
        votes = counts.of_statement(at)
        found.append(
            Statement(
                id=int(ids[at]),
                text=texts[at],
                gac=float(gac[at]),
                gac_low=float(low[at]),
                gac_high=float(high[at]),
                gac_against=float(against[at]),
                by_group=votes,
                selected=bool(gac[at] >= threshold),
                divisive=is_divisive(votes),
            )
        )
    return tuple(found)


def is_divisive(votes: Sequence[GroupVotes]) -> bool:
    """Whether two groups stand on different sides of one half, both with 95 % confidence."""
    above = any(group.rate.low > 0.5 for group in votes)
    return above and any(group.seen and group.rate.high < 0.5 for group in votes)


def interval(chosen: Ints, seen: Ints) -> tuple[Floats, Floats]:
    """Central 95 % of the product over groups of the Beta posteriors of their shares.

    The product has no closed form; a Beta distribution with its exact mean and variance is close
    (Fan 1991), keeps to 0 and 1, and is exact for one group.

    Args:
        chosen: how many of each group chose it (groups, M).
        seen: how many of each group saw it (groups, M).

    Returns:
        lower and upper ends (M) each.
    """
    mean = group_aware(chosen, seen)
    square = (mean * ((chosen + 2) / (seen + 3)).prod(axis=0)).astype(np.float64)
    strength = (mean - square) / (square - mean**2)
    a, b = mean * strength, (1 - mean) * strength
    low, high = betaincinv(a, b, _TAIL), betaincinv(a, b, 1 - _TAIL)
    return np.minimum(low, mean), np.maximum(high, mean)
