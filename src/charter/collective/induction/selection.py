"""From tested candidates to a short constitution: the fewest that explain the most.

The principles stand in order, most accurate first, and the first one that has something to say of
a pair decides it. So each is counted by the pairs it explains beyond those above it, and a vague
principle cannot claim what a sharp one has explained. Every principle costs something, or the list
would grow with chance.

Shape suffixes: C candidates, N pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from charter.collective.induction.ballots import Votes
from charter.collective.induction.candidates import Family
from charter.collective.induction.evidence import gain

COSTS: Mapping[Family, float] = {"trait": 1.5, "model": 1.5, "contrast": 1.6, "word": 1.8}
"""Nats that a principle must earn. Of two that explain the same, the one from the smaller pool
costs less: more words than traits fit by chance. Four pairs of four (2.04 nats) just pay."""
_EVEN = 1e-9


def choose(votes_CN: Votes, signs: Sequence[int], costs: Sequence[float], most: int) -> list[int]:
    """The principles of the document, in order.

    A principle is added while that pays, dropped when later ones have made it needless, and
    exchanged for a better one.

    Args:
        votes_CN: votes of all candidates; of equal candidates, the earlier one is taken.
        signs: 1 where A was preferred, -1 where B was.
        costs: of each candidate, in nats.
        most: principles at the most.

    Returns:
        rows of `votes_CN`; empty if no candidate pays.
    """
    fits_CN = votes_CN.astype(np.int64) * np.asarray(signs, dtype=np.int64)
    search = _Search(fits_CN, costs)
    chosen: list[int] = []
    value = 0.0
    # Every step raises the value, so that the search ends.
    while (step := _best(search, chosen, most)) is not None and step[0] > value + _EVEN:
        value, chosen = step
    return chosen


def decided(votes_KN: Votes) -> NDArray[np.int64]:
    """For each pair [N] the place of the principle that decides it, -1 if none does."""
    speaks = votes_KN != 0
    return np.where(speaks.any(0), speaks.argmax(0), -1) if len(votes_KN) else _none(votes_KN)


def verdicts(votes_KN: Votes) -> Votes:
    """What the principles together say of each pair [N]: the first that speaks."""
    place_N = decided(votes_KN)
    if not len(votes_KN):
        return np.zeros(votes_KN.shape[1], dtype=np.int8)
    found = votes_KN[np.maximum(place_N, 0), np.arange(votes_KN.shape[1])]
    return np.where(place_N >= 0, found, 0).astype(np.int8)


class _Search:
    """Values of sets of candidates."""

    def __init__(self, fits_CN: NDArray[np.int64], costs: Sequence[float]) -> None:
        self.right_CN, self.wrong_CN, self.costs = fits_CN > 0, fits_CN < 0, costs
        agree, against = self.right_CN.sum(1), self.wrong_CN.sum(1)
        self.own = [gain(int(r), int(w)) for r, w in zip(agree, against, strict=True)]
        precision = (agree + 1) / (agree + against + 2)
        ranked = sorted(range(len(fits_CN)), key=lambda c: (-precision[c], c))
        self.rank = {c: place for place, c in enumerate(ranked)}

    def ordered(self, chosen: Sequence[int]) -> list[int]:
        """Most accurate first."""
        return sorted(chosen, key=self.rank.__getitem__)

    def value(self, chosen: Sequence[int]) -> float:
        """Nats by which the principles, in this order, predict better than coin flips."""
        total, open_N = 0.0, np.ones(self.right_CN.shape[1], dtype=np.bool_)
        for c in chosen:
            right, wrong = self.right_CN[c] & open_N, self.wrong_CN[c] & open_N
            beyond = gain(int(right.sum()), int(wrong.sum()))
            # Its mistakes count, too, where a principle above it has hidden them.
            total += min(beyond, self.own[c]) - self.costs[c]
            open_N &= ~(right | wrong)
        return total


def _best(search: _Search, chosen: Sequence[int], most: int) -> tuple[float, list[int]] | None:
    """The best of all lists that are one step away; of equal ones the first."""
    best: tuple[float, list[int]] | None = None
    for steps in (_fewer(chosen), _more(search, chosen, most), _others(search, chosen)):
        for step in steps:
            ordered = search.ordered(step)
            value = search.value(ordered)
            if best is None or value > best[0] + _EVEN:
                best = value, ordered
    return best


def _fewer(chosen: Sequence[int]) -> Iterator[list[int]]:
    return ([*chosen[:i], *chosen[i + 1 :]] for i in range(len(chosen)))


def _more(search: _Search, chosen: Sequence[int], most: int) -> Iterator[list[int]]:
    if len(chosen) < most:
        yield from ([*chosen, c] for c in range(len(search.right_CN)) if c not in chosen)


def _others(search: _Search, chosen: Sequence[int]) -> Iterator[list[int]]:
    for fewer in _fewer(chosen):
        yield from ([*fewer, c] for c in range(len(search.right_CN)) if c not in chosen)


def _none(votes_KN: Votes) -> NDArray[np.int64]:
    return np.full(votes_KN.shape[1], -1, dtype=np.int64)
