from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.collective.votes import AGREE, PASS, Cells, VoteMatrix

_EVENTS = st.lists(
    st.tuples(
        st.integers(0, 4) | st.just(10**15),
        st.integers(0, 5) | st.just(-7),
        st.sampled_from([-1, 0, 1]),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=60,
)


def _matrix(events: list[tuple[int, int, int, int]], timed: bool = True) -> VoteMatrix:
    person, statement, vote, when = (np.array(column) for column in zip(*events, strict=True))
    return VoteMatrix.of(Cells(person, statement, vote.astype(np.int8), when if timed else None))


def _cells(matrix: VoteMatrix) -> dict[tuple[int, int], int]:
    found = matrix.votes.tocoo()
    return {
        (int(matrix.participants[row]), int(matrix.statements[column])): int(vote)
        for row, column, vote in zip(found.row, found.col, found.data, strict=True)
    }


@given(_EVENTS)
def test_the_latest_vote_counts_and_of_equals_the_last_in_the_file(
    events: list[tuple[int, int, int, int]],
) -> None:
    wanted = {}
    for person, statement, vote, _ in sorted(events, key=lambda event: event[3]):
        wanted[person, statement] = vote
    assert _cells(_matrix(events)) == wanted


@given(_EVENTS)
def test_without_times_the_last_in_the_file_counts(
    events: list[tuple[int, int, int, int]],
) -> None:
    wanted = {(person, statement): vote for person, statement, vote, _ in events}
    assert _cells(_matrix(events, timed=False)) == wanted


def test_a_pass_is_seen_and_an_empty_cell_is_not() -> None:
    matrix = _matrix([(0, 0, 0, 0), (0, 1, 1, 0), (1, 1, -1, 0)])
    assert matrix.total == 3
    assert matrix.seen.tolist() == [2, 1]
    assert matrix.counts(PASS).tolist() == [1, 0]
    assert matrix.counts(AGREE).tolist() == [0, 1]


@given(_EVENTS, st.data())
def test_the_tally_is_what_counting_one_by_one_gives(
    events: list[tuple[int, int, int, int]], data: st.DataObject
) -> None:
    matrix = _matrix(events)
    people = len(matrix.participants)
    labels = np.array(data.draw(st.lists(st.integers(0, 2), min_size=people, max_size=people)))
    wanted = np.zeros((3, len(matrix.statements), 3), dtype=int)
    group = dict(zip(matrix.participants.tolist(), labels.tolist(), strict=True))
    column = {id: at for at, id in enumerate(matrix.statements.tolist())}
    for (person, statement), vote in _cells(matrix).items():
        wanted[group[person], column[statement], vote + 1] += 1
    assert (matrix.tally(labels, 3) == wanted).all()


@given(_EVENTS, st.sets(st.integers(0, 5), min_size=1))
def test_leaving_statements_out_keeps_the_other_votes(
    events: list[tuple[int, int, int, int]], kept: set[int]
) -> None:
    matrix = _matrix(events)
    left = matrix.with_statements(np.array(sorted(kept)))
    wanted = {place: vote for place, vote in _cells(matrix).items() if place[1] in kept}
    assert _cells(left) == wanted
    assert left.participants.tolist() == matrix.participants.tolist()


def test_leaving_participants_out_keeps_passes() -> None:
    matrix = _matrix([(0, 0, 0, 0), (1, 0, 0, 0), (1, 1, 1, 0), (2, 0, -1, 0)])
    left = matrix.with_participants(np.array([False, True, True]))
    assert _cells(left) == {(1, 0): 0, (1, 1): 1, (2, 0): -1}


@pytest.mark.parametrize("people", [[0, 1, 2], [0, 1, 2, 9]])
def test_people_without_votes_can_take_part(people: list[int]) -> None:
    cells = Cells(np.array([2, 0]), np.array([5, 5]), np.array([1, -1], dtype=np.int8))
    matrix = VoteMatrix.of(cells, np.array(people))
    assert matrix.seen.tolist() == [1, 0, 1, 0][: len(people)]
