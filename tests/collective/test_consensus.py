from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from charter.collective.consensus import Counts, GroupVotes, interval, is_divisive, statements
from charter.collective.conversation import read_folder
from charter.collective.groups import best, candidates, placed, project
from charter.collective.votes import Cells, VoteMatrix
from charter.statistics import wilson


def _matrix(rows: list[list[int | None]]) -> VoteMatrix:
    cells = [(i, j, v) for i, row in enumerate(rows) for j, v in enumerate(row) if v is not None]
    person, place, vote = (np.array(column) for column in zip(*cells, strict=True))
    return VoteMatrix.of(Cells(person, place, vote.astype(np.int8)))


def test_consensus_by_hand_with_passes_as_seen() -> None:
    # Group 0: 2 agree and 1 passes. Group 1: 1 agrees, 1 disagrees, 1 has not seen it.
    matrix = _matrix([[1, 1], [1, 1], [0, 1], [1, 1], [-1, 1], [None, 1]])
    counts = Counts(matrix, np.array([0, 0, 0, 1, 1, 1]))
    [all_agree, mixed] = statements([0, 1], ["mixed", "all"], counts, 0.6)
    assert all_agree.gac == pytest.approx((3 + 1) / (3 + 2) * (3 + 1) / (3 + 2))
    assert mixed.gac == pytest.approx((2 + 1) / (3 + 2) * (1 + 1) / (2 + 2))
    assert mixed.gac_against == pytest.approx((0 + 1) / (3 + 2) * (1 + 1) / (2 + 2))
    assert (all_agree.text, all_agree.selected, mixed.selected) == ("all", True, False)
    assert mixed.by_group == (
        GroupVotes(2, 3, 0, 1, 0, wilson(2, 3)),
        GroupVotes(1, 2, 1, 0, 1, wilson(1, 2)),
    )


def test_a_statement_nobody_saw_is_at_the_prior() -> None:
    counts = Counts(_matrix([[1, 1], [1, None], [1, None]]), np.array([0, 1, 1]))
    last = statements([0, 1], ["a", "b"], counts, 0.5)[-1]
    assert last.by_group[1].seen == 0
    assert last.gac == pytest.approx(2 / 3 * 1 / 2)
    assert not last.divisive


def test_equals_are_sorted_by_id() -> None:
    counts = Counts(_matrix([[1, 1, 1]] * 4), np.zeros(4, dtype=np.int64))
    assert [s.id for s in statements([9, 4, 6], ["", "", ""], counts, 0.5)] == [4, 6, 9]


@pytest.mark.parametrize(
    "groups",
    [
        [(58, 58), (15, 15)],
        [(355, 417), (300, 366)],
        [(5, 15), (9, 27), (8, 13), (18, 19), (5, 5)],
        [(10, 10), (0, 12)],
        [(1, 1), (200, 200), (2, 9)],
    ],
)
def test_the_interval_is_that_of_the_product_of_the_posteriors(
    groups: list[tuple[int, int]],
) -> None:
    draw = np.random.default_rng(0)
    product = np.prod([draw.beta(a + 1, s - a + 1, 200_000) for a, s in groups], axis=0)
    agree, seen = (np.array([[pair[i]] for pair in groups]) for i in (0, 1))
    found = [float(end[0]) for end in interval(agree, seen)]
    assert found == pytest.approx(np.quantile(product, [0.025, 0.975]).tolist(), abs=0.006)


def test_for_one_group_the_interval_is_exact() -> None:
    draw = np.random.default_rng(0).beta(8, 4, 400_000)
    found = [float(end[0]) for end in interval(np.array([[7]]), np.array([[10]]))]
    assert found == pytest.approx(np.quantile(draw, [0.025, 0.975]).tolist(), abs=0.003)


def _said(agree: int, seen: int) -> GroupVotes:
    return GroupVotes(agree, seen, seen - agree, 0, 0, wilson(agree, seen))


@pytest.mark.parametrize(
    ("groups", "divisive"),
    [
        ([(90, 100), (10, 100)], True),
        ([(90, 100), (45, 100)], False),
        ([(90, 100), (60, 100)], False),
        ([(2, 2), (0, 2)], False),
        ([(90, 100), (0, 0)], False),
        ([(90, 100), (90, 100), (5, 60)], True),
    ],
)
def test_divisive_takes_two_sides_and_certainty(
    groups: list[tuple[int, int]], divisive: bool
) -> None:
    assert is_divisive([_said(*votes) for votes in groups]) is divisive


def test_real_consensus_is_what_numpy_counts(
    polis: Path, dense: Callable[[VoteMatrix], npt.NDArray[np.float64]]
) -> None:
    conversation = read_folder(polis)
    matrix = conversation.matrix.with_participants(placed(conversation.matrix))
    labels = best(candidates(project(matrix, 0), 0)).labels
    full = dense(matrix)
    wanted = np.ones(full.shape[1])
    for group in range(labels.max() + 1):
        inside = full[labels == group]
        wanted *= ((inside == 1).sum(axis=0) + 1) / ((~np.isnan(inside)).sum(axis=0) + 2)
    ids: Any = matrix.statements.tolist()
    found = statements(ids, conversation.texts, Counts(matrix, labels), 0.723)
    assert [s.gac for s in found] == sorted((s.gac for s in found), reverse=True)
    assert {s.id: s.gac for s in found} == pytest.approx(dict(zip(ids, wanted, strict=True)))
    assert {s.id: s.text for s in found} == dict(zip(ids, conversation.texts, strict=True))
    for at, id in enumerate(ids):
        votes = next(s for s in found if s.id == id).by_group
        assert sum(v.seen for v in votes) == (~np.isnan(full[:, at])).sum()
        assert sum(v.agree + v.passed + v.disagree for v in votes) == sum(v.seen for v in votes)
