"""Ballots: what a judge says of every pair under every candidate: for A, for B, not relevant.

Shape suffixes: C candidates, N pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charter.engine.local import Progress, silent
from charter.judging.labeling import label
from charter.records import Comparison, Judge, Verdict

MARGIN = 0.1
"""Distance of P(A better) from one half below which a candidate has nothing to say of a pair."""
_AT_ONCE = 32
Votes = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Ballots:
    """Votes of all candidates.

    Attributes:
        votes_CN: 1 for A, -1 for B, 0 for not relevant.
        scored_CN: whether the judge answered at all, in both orders.
    """

    votes_CN: Votes
    scored_CN: NDArray[np.bool_]

    def of(self, candidates: Sequence[int]) -> Ballots:
        """Those of some candidates, in the order given."""
        places = list(candidates)
        return Ballots(self.votes_CN[places], self.scored_CN[places])


def ask(
    judge: Judge,
    comparisons: Sequence[Comparison],
    ids: Sequence[str],
    *,
    margin: float = MARGIN,
    stage: str = "induce",
    progress: Progress = silent,
) -> Ballots:
    """Ask a judge about every pair under every candidate, in both orders.

    Args:
        judge: knows the candidates by id.
        comparisons: the pairs.
        ids: the candidates.
        margin: see `MARGIN`.
        stage: name for the progress.
        progress: told how many pairs are done.
    """
    votes = np.zeros((len(ids), len(comparisons)), dtype=np.int8)
    scored = np.zeros((len(ids), len(comparisons)), dtype=np.bool_)
    row = {id: place for place, id in enumerate(ids)}
    asked = [(id, 1.0) for id in ids]
    for start in range(0, len(comparisons), _AT_ONCE):
        group = comparisons[start : start + _AT_ONCE]
        for offset, found in enumerate(label(judge, group, [asked for _ in group])):
            for one in found.votes if isinstance(found, Verdict) else ():
                place = row[one.principle], start + offset
                scored[place] = True
                if abs(one.p_a - 0.5) >= margin:
                    votes[place] = 1 if one.p_a > 0.5 else -1
        progress(stage, start + len(group), len(comparisons))
    return Ballots(votes, scored)
