"""The vote matrix: participants by statements, sparse, a pass kept apart from an unseen statement.

Owns the cells and their counting. It does not know where votes come from or what they are for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

Ints = npt.NDArray[np.int64]
Votes = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]

AGREE, PASS, DISAGREE = 1, 0, -1


@dataclass(frozen=True, slots=True)
class Cells:
    """Votes one by one, as a file lists them: parallel arrays, in any order."""

    participant: Ints
    statement: Ints
    vote: Votes
    when: Ints | None = None
    """Time of each vote, in whatever unit; None if only the order in the file is known."""


@dataclass(frozen=True, slots=True)
class VoteMatrix:
    """Votes of N participants on M statements.

    `votes` is a CSR matrix of int8 whose *stored* cells are the statements that a participant has
    seen: 1 agree, -1 disagree, 0 pass. Stored zeros carry meaning, so nothing may prune them.
    """

    participants: Ints
    statements: Ints
    votes: sparse.csr_array

    @classmethod
    def of(cls, cells: Cells, participants: Ints | None = None) -> VoteMatrix:
        """The matrix of some cells. Of several votes on one place the last counts.

        The last is the latest by time, and of those at the same time the last in the file.

        Args:
            cells: in any order.
            participants: everyone who takes part, sorted; those in the cells, if not given.
        """
        if participants is None:
            participants, row = _ranked(cells.participant)
        else:
            row = np.searchsorted(participants, cells.participant)
        statements, column = _ranked(cells.statement)
        place = row * max(1, len(statements)) + column
        last = _last(place, cells.when)
        starts = np.append(0, np.cumsum(np.bincount(row[last], minlength=len(participants))))
        matrix = sparse.csr_array(
            (cells.vote[last], column[last].astype(np.int32), starts),
            shape=(len(participants), len(statements)),
        )
        return cls(participants, statements, matrix)

    def with_statements(self, kept: Ints) -> VoteMatrix:
        """Only these statements (sorted ids, all of them known)."""
        wanted = np.isin(self.statements, kept)
        if wanted.all():
            return self
        place = np.cumsum(wanted) - 1
        cells = wanted[self.votes.indices]
        starts = np.append(0, np.cumsum(cells))[self.votes.indptr]
        column = place[self.votes.indices[cells]].astype(np.int32)
        shape = (len(self.participants), int(wanted.sum()))
        matrix = sparse.csr_array((self.votes.data[cells], column, starts), shape=shape)
        return VoteMatrix(self.participants, self.statements[wanted], matrix)

    def with_participants(self, kept: Mask) -> VoteMatrix:
        """Only the participants of a mask (N)."""
        if kept.all():
            return self
        return VoteMatrix(
            self.participants[kept], self.statements, self.votes[np.flatnonzero(kept)]
        )

    @property
    def seen(self) -> Ints:
        """How many statements each participant voted on, passes included (N)."""
        return np.asarray(np.diff(self.votes.indptr), dtype=np.int64)

    @property
    def total(self) -> int:
        """How many votes there are, passes included."""
        return int(self.votes.nnz)

    def counts(self, vote: int) -> Ints:
        """How often each statement got this vote (M)."""
        columns = self.votes.indices[self.votes.data == vote]
        return np.bincount(columns, minlength=len(self.statements))

    def tally(self, labels: Ints, groups: int) -> Ints:
        """How often each group gave each statement each vote.

        Args:
            labels: group of each participant (N), from 0.
            groups: how many there are.

        Returns:
            counts (groups, M, 3): disagree, pass, agree.
        """
        width = len(self.statements)
        place = np.repeat(labels * (3 * width), self.seen)
        place += self.votes.indices.astype(np.int64) * 3
        place += self.votes.data + 1
        return np.bincount(place, minlength=groups * width * 3).reshape(groups, width, 3)


def _ranked(values: Ints) -> tuple[Ints, Ints]:
    """The different values, sorted, and for every value its place among them.

    Ids are mostly small numbers, and then a table of all of them spares the sorting.
    """
    if values.size and values.min() >= 0 and values.max() <= 4 * values.size:
        present = np.zeros(int(values.max()) + 1, dtype=np.bool_)
        present[values] = True
        return np.flatnonzero(present), (np.cumsum(present) - 1)[values]
    unique, rank = np.unique(values, return_inverse=True)
    return unique, rank


def _last(place: Ints, when: Ints | None) -> Ints:
    """Of all cells on one place the last: their indices, sorted by place."""
    order = np.argsort(place, kind="stable")
    here = place[order]
    again = here[1:] == here[:-1]
    if when is not None and again.any():
        # Only the places with several votes have to be put in order of time.
        several = np.append(again, False) | np.insert(again, 0, False)
        mixed = order[several]
        order[several] = mixed[np.lexsort((mixed, when[mixed], place[mixed]))]
    return order[np.append(~again, True)] if order.size else order
