"""What would have come out otherwise: with another threshold, another seed, another k.

A draft that hangs on one of these choices should not be adopted unread. Knows only groupings and
counts; it chooses nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import adjusted_rand_score

from charter.collective.consensus import Counts
from charter.collective.groups import Floats, Grouping, Plane, nearest
from charter.collective.votes import Mask, VoteMatrix
from charter.records import Record
from charter.seeds import derive

_THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.723, 0.75, 0.8, 0.85, 0.9)
_SEEDS = 5


class AtThreshold(Record, frozen=True):
    """How many statements reach another threshold."""

    threshold: float
    selected: int


class AtSeed(Record, frozen=True):
    """The same k from other starting points."""

    seed: int
    adjusted_rand: float
    """With the groups of the draft: 1 the same, about 0 by chance (Hubert and Arabie 1985)."""
    selected: int
    shared: int
    """Of those, how many the draft selects as well."""


class AtK(Record, frozen=True):
    """Another number of groups."""

    k: int
    sizes: tuple[int, ...]
    silhouette: float | None
    selected: int
    shared: int
    equal_bar: float
    """The threshold at which each group has to agree as strongly, on average, as in the draft:
    a product over more groups is smaller, so the same threshold would be a higher bar."""
    selected_at_equal_bar: int
    shared_at_equal_bar: int


class Sensitivity(Record, frozen=True):
    """The draft under other choices."""

    threshold: tuple[AtThreshold, ...]
    seed: tuple[AtSeed, ...]
    k: tuple[AtK, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """The choices to vary, and what they led to."""

    matrix: VoteMatrix
    plane: Plane
    grouping: Grouping
    threshold: float
    seed: int
    gac: Floats

    @property
    def selected(self) -> Mask:
        """Which statements reach the threshold (M)."""
        return np.asarray(self.gac >= self.threshold)


def sensitivity(draft: Draft, groupings: Sequence[Grouping]) -> Sensitivity:
    """All three tables.

    Args:
        draft: what was chosen.
        groupings: the candidates for every k, the chosen one among them.
    """
    bars = sorted({*_THRESHOLDS, draft.threshold})
    return Sensitivity(
        threshold=tuple(AtThreshold(bar, int((draft.gac >= bar).sum())) for bar in bars),
        seed=tuple(_at_seed(draft, number) for number in range(1, _SEEDS + 1)),
        k=tuple(_at_k(draft, grouping) for grouping in groupings),
    )


def _at_seed(draft: Draft, number: int) -> AtSeed:
    seed = derive("collect", draft.seed, "sensitivity", number) % 2**31
    labels = nearest(draft.plane, draft.grouping.k, seed)
    selected = Counts(draft.matrix, labels).consensus() >= draft.threshold
    agreement = adjusted_rand_score(draft.grouping.labels, labels)
    shared = int((selected & draft.selected).sum())
    return AtSeed(seed, float(agreement), int(selected.sum()), shared)


def _at_k(draft: Draft, other: Grouping) -> AtK:
    gac = Counts(draft.matrix, other.labels).consensus()
    bar = draft.threshold ** (other.k / draft.grouping.k)
    selected, equal = gac >= draft.threshold, gac >= bar
    return AtK(
        other.k,
        other.sizes,
        other.silhouette,
        int(selected.sum()),
        int((selected & draft.selected).sum()),
        bar,
        int(equal.sum()),
        int((equal & draft.selected).sum()),
    )
