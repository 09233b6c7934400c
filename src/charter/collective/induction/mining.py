"""Candidates without a language model: every feature is tried, and the promising ones are kept.

The pool of features does not depend on the preferences; which of them are kept, and in which
direction, does.

Shape suffixes: P features, N pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charter.collective.induction import traits, words
from charter.collective.induction.ballots import Votes
from charter.collective.induction.candidates import Candidate, Feature
from charter.collective.induction.evidence import family_wise, gain
from charter.collective.induction.naming import distinct_ids
from charter.collective.induction.scripted import vote
from charter.collective.induction.selection import COSTS
from charter.records import Comparison

LEAST = 3
"""Training pairs in which a feature must differ."""
BY_CHANCE = 0.3
"""A feature is kept if the best of the whole pool, under preferences turned at random, fits so well
in at most this share of the rounds. Among a thousand words, seven pairs of seven are nothing."""
_LEAST_SHARE = 0.01
_MOST_ALIKE = 8


@dataclass(frozen=True, slots=True)
class Mined:
    """A candidate with what it counts, and its p-value for the best of the pool."""

    candidate: Candidate
    feature: Feature
    sign: int
    p_family: float


@dataclass(frozen=True, slots=True)
class Pool:
    """All features that were tried, and what each says of the training pairs."""

    features: tuple[Feature, ...]
    votes_PN: Votes


def pool(comparisons: Sequence[Comparison]) -> Pool:
    """The shipped traits and the words of these pairs, if they differ often enough."""
    least = max(LEAST, round(_LEAST_SHARE * len(comparisons)))
    features = [*traits.features(), *words.pool(comparisons, least)]
    rows = [[vote(feature, c) for c in comparisons] for feature in features]
    votes = np.array(rows, dtype=np.int8).reshape(len(features), len(comparisons))
    kept = np.abs(votes).sum(1) >= least
    return Pool(tuple(f for f, keep in zip(features, kept, strict=True) if keep), votes[kept])


def mine(found: Pool, signs: Sequence[int], *, most: int, seed: int) -> list[Mined]:
    """The features that predict the preferences best, each in the direction that does.

    Those that vote alike on every training pair are one candidate: nothing here tells them apart.

    Args:
        found: the pool.
        signs: 1 where A was preferred, -1 where B was.
        most: candidates to keep.
        seed: of the permutation test.
    """
    fits_PN = found.votes_PN.astype(np.int64) * np.asarray(signs, dtype=np.int64)
    agree, against = (fits_PN > 0).sum(1), (fits_PN < 0).sum(1)
    p_family = family_wise(found.votes_PN, signs, seed)
    worth: dict[int, float] = {}
    for i, feature in enumerate(found.features):
        right, wrong = sorted((int(agree[i]), int(against[i])), reverse=True)
        value = gain(right, wrong) - COSTS[feature.family]
        if value > 0 and p_family[i] <= BY_CHANCE:
            worth[i] = value
    directions = {i: 1 if agree[i] >= against[i] else -1 for i in worth}
    # A shorter id is mostly the commoner word; ids at last, so that the order is the same always.
    ranked = sorted(
        worth, key=lambda i: (-round(worth[i], 9), len(found.features[i].id), found.features[i].id)
    )
    classes: dict[bytes, list[int]] = {}
    for i in ranked:
        classes.setdefault((found.votes_PN[i] * directions[i]).tobytes(), []).append(i)
    chosen = list(classes.values())[:most]
    candidates = distinct_ids([_candidate(same, found, directions) for same in chosen])
    return [
        Mined(one, found.features[same[0]], directions[same[0]], float(p_family[same[0]]))
        for one, same in zip(candidates, chosen, strict=True)
    ]


def _candidate(same: Sequence[int], found: Pool, directions: dict[int, int]) -> Candidate:
    wordings = [
        found.features[i].more if directions[i] > 0 else found.features[i].less for i in same
    ]
    first = found.features[same[0]]
    alike = tuple(wording.title for wording in wordings[1 : 1 + _MOST_ALIKE])
    shown = int(np.abs(found.votes_PN[same[0]]).sum())
    return Candidate("", wordings[0], first.family, alike, shown)
