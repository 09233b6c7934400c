"""Groups against NumPy and scikit-learn: dense, by the definition, with none of our code."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, silhouette_score

from charter.collective import groups
from charter.collective.conversation import read_folder
from charter.collective.groups import best, candidates, partition, placed, project
from charter.collective.votes import Cells, VoteMatrix

Dense = Callable[[VoteMatrix], npt.NDArray[np.float64]]


def _reference_points(full: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Dense PCA of the matrix with column means in its gaps, stretched for sparse voters."""
    seen = ~np.isnan(full)
    means = np.nansum(full, axis=0) / np.maximum(seen.sum(axis=0), 1)
    points = PCA(2, svd_solver="full").fit_transform(np.where(seen, full, means))
    return points * np.sqrt(full.shape[1] / seen.sum(axis=1))[:, None]


def _aligned(points: npt.NDArray[np.float64], like: npt.NDArray[np.float64]) -> Any:
    """The sign of a component means nothing."""
    return points * np.sign((points * like).sum(axis=0))


def test_the_map_is_the_dense_principal_components(polis: Path, dense: Dense) -> None:
    matrix = read_folder(polis).matrix
    matrix = matrix.with_participants(placed(matrix))
    found = project(matrix, 0)
    wanted = _reference_points(dense(matrix))
    np.testing.assert_allclose(_aligned(found.points, wanted), wanted, atol=1e-6)


def test_groups_of_real_conversations_are_those_of_scikit_learn(polis: Path, dense: Dense) -> None:
    matrix = read_folder(polis).matrix
    matrix = matrix.with_participants(placed(matrix))
    points = _reference_points(dense(matrix))
    wanted = {k: KMeans(k, n_init=30, random_state=7).fit(points) for k in (2, 3, 4, 5)}
    scores = {k: silhouette_score(points, means.labels_) for k, means in wanted.items()}
    found = candidates(project(matrix, 0), 0)
    assert adjusted_rand_score(wanted[2].labels_, found[2].labels) > 0.97
    for k, grouping in found.items():
        # Two optima may be as good and differ for a few people on the border.
        assert _inertia(points, grouping.labels) < 1.005 * wanted[k].inertia_
    assert scores[best(found).k] > max(scores.values()) - 0.01


def _inertia(points: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> float:
    """Sum of squared distances to the middle of the group."""
    return float(
        sum(
            ((p - p.mean(axis=0)) ** 2).sum()
            for p in (points[labels == g] for g in set(labels.tolist()))
        )
    )


def test_two_groups_are_close_to_those_that_polis_recorded(polis: Path) -> None:
    """Polis groups 100 base clusters, in the state of the last vote: close, but not equal."""
    with gzip.open(polis / "participants-votes.csv.gz", "rt", newline="") as stream:
        rows = list(csv.DictReader(stream))
    rows.sort(key=lambda row: int(row["participant"]))
    recorded = np.array([int(row["group-id"] or -1) for row in rows])
    if len(set(recorded[recorded >= 0])) != 2:
        pytest.skip(f"Polis recorded other than two groups in {polis.name}")
    matrix = read_folder(polis).matrix
    chosen = placed(matrix)
    labels = partition(project(matrix.with_participants(chosen), 0), 2, 0).labels
    theirs = recorded[chosen]
    assert adjusted_rand_score(theirs[theirs >= 0], labels[theirs >= 0]) > 0.7


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("each", [25, 60])
def test_planted_groups_are_recovered(
    electorate: Callable[..., Any], count: int, each: int
) -> None:
    planted = electorate(groups=count, each=each, people=600)
    found = best(candidates(project(planted.conversation.matrix, 0), 0))
    assert found.k == count
    assert adjusted_rand_score(planted.group, found.labels) >= 0.95


def test_the_same_seed_gives_the_same_groups(electorate: Callable[..., Any]) -> None:
    matrix = electorate().conversation.matrix
    one, two = (project(matrix, 3) for _ in range(2))
    assert one.points.tobytes() == two.points.tobytes()
    assert partition(one, 4, 3).labels.tolist() == partition(two, 4, 3).labels.tolist()


def test_the_largest_group_comes_first(electorate: Callable[..., Any]) -> None:
    plane = project(electorate(groups=3).conversation.matrix, 0)
    for k in (2, 3, 4, 5):
        grouping = partition(plane, k, 1)
        assert list(grouping.sizes) == sorted(grouping.sizes, reverse=True)
        assert grouping.sizes == tuple(np.bincount(grouping.labels))


def _voted(counts: list[int], statements: int) -> VoteMatrix:
    person = np.repeat(np.arange(len(counts)), counts)
    place = np.concatenate([np.arange(count) for count in counts])
    cells = Cells(person, place, np.ones(person.size, dtype=np.int8))
    matrix = VoteMatrix.of(cells, np.arange(len(counts)))
    assert len(matrix.statements) <= statements
    return matrix


def test_seven_votes_place_a_participant() -> None:
    chosen = placed(_voted([20] * 20 + [7, 6, 0], 20))
    assert chosen.tolist() == [True] * 21 + [False, False]


def test_with_few_statements_all_of_them_do() -> None:
    assert placed(_voted([3] * 20 + [2], 3)).tolist() == [True] * 20 + [False]


def test_the_busiest_fill_up_to_fifteen() -> None:
    chosen = placed(_voted([8] * 3 + [4] * 10 + [3] * 5 + [0], 8))
    assert chosen.tolist() == [True] * 15 + [False] * 4


def test_people_who_all_vote_alike_are_one_group() -> None:
    matrix = _voted([9] * 30, 9)
    grouping = best(candidates(project(matrix, 0), 0))
    assert (grouping.k, grouping.sizes, grouping.silhouette) == (1, (30,), None)


@pytest.mark.parametrize("people", [1, 2, 3, 12])
@pytest.mark.parametrize("statements", [1, 2, 12])
def test_a_tiny_conversation_still_has_a_map(people: int, statements: int) -> None:
    person, place = (a.ravel() for a in np.indices((people, statements)))
    vote = np.where((person + place) % 2, 1, -1).astype(np.int8)
    matrix = VoteMatrix.of(Cells(person, place, vote))
    plane = project(matrix, 0)
    assert plane.points.shape == (people, 2)
    assert np.isfinite(plane.points).all()
    assert sum(best(candidates(plane, 0)).sizes) == people
    assert 0 <= sum(plane.explained) <= 1 + 1e-9


def test_a_sample_scores_a_large_map(
    electorate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = project(electorate(groups=2).conversation.matrix, 0)
    whole = partition(plane, 2, 0).silhouette
    monkeypatch.setattr(groups, "_SILHOUETTE_SAMPLE", 150)
    sampled = partition(plane, 2, 0).silhouette
    assert whole is not None
    assert sampled != whole
    assert sampled == pytest.approx(whole, abs=0.05)
