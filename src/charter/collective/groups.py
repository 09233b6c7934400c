"""Opinion groups: who votes alike, found as Polis finds them.

Sources: Small et al. 2021, *Polis: Scaling deliberation by mapping high dimensional opinion
spaces*; Collective Constitutional AI (Huang et al. 2024) takes the same steps, with 0 for unseen.
An unseen statement takes the mean of its column, so that after centring it is exactly zero: the
centred matrix is as sparse as the votes, and its two leading directions come from a Lanczos
method without any dense copy. Knows nothing of texts, and treats a vote as a number.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.linalg import svds
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import silhouette_score

from charter.collective.votes import Ints, Mask, VoteMatrix
from charter.errors import WorkError, boundary
from charter.seeds import derive

Floats = npt.NDArray[np.float64]
LEAST_VOTES = 7
"""Votes that place a participant on the map, as in Polis; all statements, if there are fewer."""
LEAST_PARTICIPANTS = 15
"""If fewer reach that, those with the most votes fill up to this number, as in Polis."""
GROUPS = (2, 3, 4, 5)
_STARTS = (10, 50)
"""Fewest and most starts of k-means. Ten miss the optimum now and then, and cost nothing where
there are few points: as many are made as the points allow."""
_START_POINTS = 50_000
_SILHOUETTE_SAMPLE = 3_000
_DENSE_BELOW = 10


@dataclass(frozen=True, slots=True)
class Plane:
    """The opinion map: N participants in two dimensions."""

    points: Floats
    """(N, 2)."""
    loadings: Floats
    """(2, M): how far an agreement with each statement pulls to the right, and upwards."""
    explained: tuple[float, float]
    """Share of the variance of the votes that each direction carries."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """Participants in groups; group 0 is the largest."""

    labels: Ints
    """(N)."""
    sizes: tuple[int, ...]
    silhouette: float | None
    """Mean silhouette (Rousseeuw 1987), from -1 to 1; None for a single group."""

    @property
    def k(self) -> int:
        """How many groups there are."""
        return len(self.sizes)


def placed(matrix: VoteMatrix, least: int = LEAST_VOTES) -> Mask:
    """Which participants voted often enough to be placed on the map (N)."""
    seen = matrix.seen
    enough: Mask = seen >= max(1, min(least, len(matrix.statements)))
    if enough.sum() < LEAST_PARTICIPANTS:
        # Stable, so that of two with the same number of votes the first in the file is taken.
        busiest = np.argsort(-seen, kind="stable")[:LEAST_PARTICIPANTS]
        enough[busiest] = True
    return enough & (seen > 0)


def project(matrix: VoteMatrix, seed: int) -> Plane:
    """Principal components of the votes, an unseen statement counting as its mean.

    A participant with few votes would sit near the centre merely for that, so the position is
    stretched by sqrt(M / votes), as Polis does.

    Raises:
        WorkError: the decomposition does not converge.
    """
    centred = _centred(matrix)
    total = float((centred.data**2).sum())
    loadings, variances = _leading(centred, derive("collect", seed, "plane"))
    stretch = np.sqrt(len(matrix.statements) / np.maximum(matrix.seen, 1))
    points = (centred @ loadings.T) * stretch[:, None]
    shares = variances / total if total else variances
    return Plane(points, loadings, (float(shares[0]), float(shares[1])))


def partition(plane: Plane, k: int, seed: int) -> Grouping:
    """k-means with k groups, fewer if there are fewer distinct points.

    Args:
        plane: the map.
        k: groups, at least 1.
        seed: of the starting points.
    """
    labels = nearest(plane, k, seed)
    sizes = tuple(int(size) for size in np.bincount(labels))
    return Grouping(labels, sizes, _silhouette(plane.points, labels, seed))


def nearest(plane: Plane, k: int, seed: int) -> Ints:
    """Labels (N) of `partition` alone, without the silhouette, which takes longer."""
    k = min(k, _distinct(plane.points, k))
    if k < 2:
        return np.zeros(len(plane.points), np.int64)
    state = derive("collect", seed, "k-means", k) % 2**32
    starts = int(np.clip(_START_POINTS // len(plane.points), *_STARTS))
    means = KMeans(k, n_init=starts, random_state=state)
    with warnings.catch_warnings():
        # Nearly coincident points may leave a group empty; it is then dropped.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return _by_size(means.fit_predict(plane.points), plane.points)


def candidates(plane: Plane, seed: int, ks: Sequence[int] = GROUPS) -> dict[int, Grouping]:
    """A grouping for every k that the points allow, by its number of groups; never empty."""
    found = {grouping.k: grouping for grouping in (partition(plane, k, seed) for k in ks)}
    return {k: grouping for k, grouping in found.items() if k > 1} or found


def best(found: dict[int, Grouping]) -> Grouping:
    """The grouping with the highest silhouette; of equals, the one with fewer groups."""
    return max(found.values(), key=lambda grouping: (grouping.silhouette or 0.0, -grouping.k))


def _centred(matrix: VoteMatrix) -> sparse.csr_array:
    """Votes less the mean of their statement; zero where a statement was not seen."""
    votes, width = matrix.votes, len(matrix.statements)
    values = votes.data.astype(np.float64)
    counts = np.bincount(votes.indices, minlength=width)
    means = np.bincount(votes.indices, values, width) / np.maximum(counts, 1)
    values -= means[votes.indices]
    return sparse.csr_array((values, votes.indices, votes.indptr), shape=votes.shape)


def _leading(centred: sparse.csr_array, seed: int) -> tuple[Floats, Floats]:
    """The two leading right singular vectors (2, M) and their squared singular values (2)."""
    width = centred.shape[1]
    if not centred.data.any():
        return np.zeros((2, width)), np.zeros(2)
    if min(centred.shape) < _DENSE_BELOW:
        _, values, vectors = np.linalg.svd(centred.toarray(), full_matrices=False)
        missing = max(0, 2 - len(values))
        values = np.pad(values, (0, missing))[:2]
        vectors = np.pad(vectors, ((0, missing), (0, 0)))[:2]
    else:
        start = np.random.default_rng(seed).standard_normal(min(centred.shape))
        with boundary(WorkError, "finding the opinion map", catch=(RuntimeError,)):
            _, values, vectors = svds(centred, k=2, v0=start)
        values, vectors = values[::-1], vectors[::-1]
    return _signed(vectors), values**2


def _signed(vectors: Floats) -> Floats:
    """Every vector with its largest entry positive: its sign is otherwise left to chance."""
    largest = np.abs(vectors).argmax(axis=1)
    signs = np.sign(vectors[np.arange(len(vectors)), largest])
    return vectors * np.where(signs == 0, 1, signs)[:, None]


def _distinct(points: Floats, enough: int) -> int:
    """How many different points there are, counted up to `enough`; mostly the first will do."""
    for some in (points[: 20 * enough], points):
        found = len(np.unique(some.round(9), axis=0))
        if found >= enough:
            return enough
    return found


def _by_size(labels: npt.NDArray[np.int32], points: Floats) -> Ints:
    """The same groups, numbered from the largest; of equals, the one further left first."""
    names = np.unique(labels)
    keys = [(-int((labels == n).sum()), float(points[labels == n, 0].mean())) for n in names]
    order = sorted(range(len(names)), key=lambda i: keys[i])
    place = {int(names[old]): new for new, old in enumerate(order)}
    lookup = np.array([place.get(i, 0) for i in range(int(names.max()) + 1)])
    return lookup[labels]


def _silhouette(points: Floats, labels: Ints, seed: int) -> float | None:
    """Of a sample, since its cost grows with the square; None where it means nothing."""
    size = min(len(points), _SILHOUETTE_SAMPLE)
    chosen = np.arange(len(points))
    if size < len(points):
        draw = np.random.default_rng(derive("collect", seed, "silhouette"))
        chosen = np.sort(draw.choice(len(points), size, replace=False))
    groups = len(np.unique(labels[chosen]))
    if not 2 <= groups < size:
        return None
    return float(silhouette_score(points[chosen], labels[chosen]))
