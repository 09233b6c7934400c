"""Proposals that say the same thing, put together: TF-IDF of their words, average linkage.

A proposal and its opposite share nearly all of their words, so those with a word that turns the
meaning around are never put together with those without.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace
from sklearn.cluster import AgglomerativeClustering
from sklearn.feature_extraction.text import TfidfVectorizer

from charter.collective.induction.candidates import Candidate

DISTANCE = 0.6
"""Cosine distance up to which clusters are joined."""
_TURNS = re.compile(
    r"\b(?:no|not|never|without|less|least|fewer|avoids?|rather than|instead of|refrains?|"
    r"shorter|lower|does not|un\w+|\w+n['’]t)\b",
    re.IGNORECASE,
)
_BOILERPLATE = ["the", "assistant", "answer", "that", "is", "are", "and", "of", "to", "in", "it"]


def clustered(candidates: Sequence[Candidate], *, distance: float = DISTANCE) -> list[Candidate]:
    """One candidate a cluster, the one nearest to all others in it; the largest cluster first."""
    sides: dict[tuple[str, ...], list[Candidate]] = defaultdict(list)
    for one in candidates:
        turns = tuple(sorted({t.lower() for t in _TURNS.findall(one.wording.text)}))
        sides[turns].append(one)
    found = [merged for side in sides.values() for merged in _joined(side, distance)]
    place = {one.id: i for i, one in enumerate(candidates)}
    return sorted(found, key=lambda one: (-one.shown, place[one.id]))


def _joined(candidates: Sequence[Candidate], distance: float) -> list[Candidate]:
    if len(candidates) < 2:
        return list(candidates)
    weights = TfidfVectorizer(stop_words=_BOILERPLATE, token_pattern=r"(?u)\b\w+\b").fit_transform(
        [one.wording.text for one in candidates]
    )
    apart = 1.0 - np.asarray((weights @ weights.T).todense())
    labels = AgglomerativeClustering(
        n_clusters=None, distance_threshold=distance, metric="precomputed", linkage="average"
    ).fit_predict(np.clip(apart, 0.0, 1.0))
    return [
        _middle(candidates, np.flatnonzero(labels == one).tolist(), apart)
        for one in range(int(labels.max()) + 1)
    ]


def _middle(
    candidates: Sequence[Candidate], members: Sequence[int], apart: np.ndarray
) -> Candidate:
    middle = min(members, key=lambda i: (round(float(apart[i, members].sum()), 9), i))
    chosen = candidates[middle]
    alike = [candidates[i].wording.title for i in members if i != middle]
    shown = sum(candidates[i].shown for i in members)
    return replace(chosen, alike=(*chosen.alike, *dict.fromkeys(alike)), shown=shown)
