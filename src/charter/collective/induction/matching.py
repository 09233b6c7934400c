"""Learned principles against written ones: do they vote alike on the same pairs?

Which answer is called A means nothing, so votes are compared as if every pair were taken in both
orders: the correlation is about zero, not about the mean.

Shape suffixes: K learned principles, N pairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray
from scipy.stats import t as student

from charter.collective.induction.ballots import Ballots
from charter.collective.induction.result import Match
from charter.records import Labelled, Verdict
from charter.statistics import Rate
from charter.statistics.multiple import holm
from charter.statistics.rate import Z95

FEWEST = 8
"""Pairs with a vote of both, below which nothing is said."""
_TIGHT = 1e-12
Floats = NDArray[np.float64]


def match(
    learned: Sequence[str],
    ballots: Ballots,
    comparisons: Sequence[str],
    labels: Sequence[Labelled],
) -> tuple[Match, ...]:
    """Every learned principle with every written one; for each learned one the closest first.

    Args:
        learned: ids of the learned principles.
        ballots: their votes [K, N].
        comparisons: ids of the pairs [N].
        labels: of the run, with the votes of the written principles.
    """
    written = _written(comparisons, labels)
    found = [
        _compared(ours, id, ballots.votes_CN[k].astype(float), votes_N, ballots.scored_CN[k])
        for k, ours in enumerate(learned)
        for id, votes_N in written.items()
    ]
    tested = [p for _, p in found if p is not None]
    adjusted = iter(holm(tested).tolist() if tested else [])
    whole = [replace(one, p_holm=None if p is None else next(adjusted)) for one, p in found]
    place = {id: k for k, id in enumerate(learned)}
    return tuple(sorted(whole, key=lambda one: (place[one.learned], -_size(one), one.written)))


def _written(comparisons: Sequence[str], labels: Sequence[Labelled]) -> dict[str, Floats]:
    """Votes of each written principle [N], about zero; NaN where it has none."""
    place = {id: i for i, id in enumerate(comparisons)}
    found: dict[str, Floats] = {}
    for one in labels:
        i = place.get(one.comparison.id)
        if i is None or not isinstance(one.label, Verdict):
            continue
        for vote in one.label.votes:
            row = found.setdefault(vote.principle, np.full(len(place), np.nan))
            row[i] = vote.p_a - 0.5
    return dict(sorted(found.items()))


def _compared(
    learned: str, written: str, x_N: Floats, y_N: Floats, scored_N: NDArray[np.bool_]
) -> tuple[Match, float | None]:
    both = scored_N & ~np.isnan(y_N)
    x, y, n = x_N[both], y_N[both], int(both.sum())
    size = math.sqrt(float(x @ x) * float(y @ y))
    if n < FEWEST or size == 0:
        return Match(learned, written, None, None), None
    r = max(-1.0, min(1.0, float(x @ y) / size))
    left = max(_TIGHT, 1 - r * r)
    p = 2 * float(student.sf(abs(r) * math.sqrt((n - 1) / left), n - 1))
    return Match(learned, written, _fisher(r, n), None), min(1.0, p)


def _fisher(r: float, n: int) -> Rate:
    """95 % interval of a correlation about zero, by Fisher's transformation."""
    z = math.atanh(max(-1 + _TIGHT, min(1 - _TIGHT, r)))
    half = Z95 / math.sqrt(n - 2)
    return Rate(r, min(r, math.tanh(z - half)), max(r, math.tanh(z + half)), n)


def _size(one: Match) -> float:
    return one.correlation.value if one.correlation else -2.0


def closest(matches: Sequence[Match]) -> Mapping[str, Match]:
    """The written principle that votes most like each learned one."""
    best: dict[str, Match] = {}
    for one in matches:
        if one.correlation is not None:
            best.setdefault(one.learned, one)
    return best
