"""Votes in the two shapes that Polis exports: a table of participants, or a log of votes.

    participants-votes.csv   participant, …, one column a statement id: 1, -1, 0, or empty (unseen)
    votes.csv                timestamp (if it has one), comment-id, voter-id, vote; the last counts

Owns these two formats. Which statements matter is not its business.
"""

from __future__ import annotations

import re
from array import array
from pathlib import Path

import numpy as np
import numpy.typing as npt

from charter.collective import arrow
from charter.collective.arrow import UNSEEN, Doubtful
from charter.collective.tables import Table
from charter.collective.votes import AGREE, DISAGREE, Cells, Ints, VoteMatrix
from charter.errors import DataError

_STATEMENT = re.compile(r"[0-9]{1,18}")
_VOTE_WANTED = "1 (agree), -1 (disagree) or 0 (pass)"


def read_votes(path: Path) -> VoteMatrix:
    """The vote matrix of a file, plain or gzip.

    Raises:
        DataError: with file and line, if it is neither format or does not keep to it.
    """
    table = Table(path)
    if "participant" in table.header:
        return _read_wide(table)
    if {"comment-id", "voter-id", "vote"} <= set(table.header):
        return _read_log(table)
    raise DataError(
        "not a Polis vote file",
        file=path,
        line=table.header_line,
        expected="columns comment-id, voter-id, vote; or participant and a column a statement",
    )


def _read_log(table: Table) -> VoteMatrix:
    names = ["voter-id", "comment-id", "vote"]
    names += ["timestamp"] if "timestamp" in table.header else []
    try:
        columns = _log_quickly(table, names)
    except Doubtful:
        columns = _log_carefully(table, names)
    if not columns[0].size:
        raise DataError("no votes", file=table.path, line=table.header_line, expected="votes")
    when = columns[3] if len(columns) == 4 else None
    return VoteMatrix.of(Cells(columns[0], columns[1], columns[2].astype(np.int8), when))


def _log_quickly(table: Table, names: list[str]) -> list[Ints]:
    blocks: list[list[npt.NDArray[np.int64]]] = []
    for block in arrow.whole_numbers(table, names):
        if block[2].min(initial=0) < DISAGREE or block[2].max(initial=0) > AGREE:
            raise Doubtful
        blocks.append(block)
    if not blocks:
        return [np.empty(0, np.int64) for _ in names]
    return [np.concatenate(parts) for parts in zip(*blocks, strict=True)]


def _log_carefully(table: Table, names: list[str]) -> list[Ints]:
    columns = [array("q") for _ in names]
    places = [table.index(name) for name in names]
    for line, row in table:
        for column, place in zip(columns, places, strict=True):
            column.append(table.whole(row, line, place))
        _check_vote(columns[2][-1], table, line, "vote")
    return [_numbers(column) for column in columns]


def _read_wide(table: Table) -> VoteMatrix:
    names = [name for name in table.header if _STATEMENT.fullmatch(name)]
    if not names:
        raise DataError(
            "no statement columns",
            file=table.path,
            line=table.header_line,
            expected="statement ids as column names",
        )
    _check_ids(names, table)
    try:
        people, cells = _wide_quickly(table, names)
    except Doubtful:
        people, cells = _wide_carefully(table, names)
    if not cells.vote.size:
        raise DataError("no votes", file=table.path, line=table.header_line, expected="votes")
    return VoteMatrix.of(cells, np.sort(people))


def _check_ids(names: list[str], table: Table) -> None:
    """`07` and `7` would be one statement with two columns."""
    if len({int(name) for name in names}) < len(names):
        raise DataError(
            "a statement id stands twice",
            file=table.path,
            line=table.header_line,
            expected="every id once",
        )


def _wide_quickly(table: Table, names: list[str]) -> tuple[Ints, Cells]:
    ids = np.array([int(name) for name in names])
    people: list[Ints] = [np.empty(0, np.int64)]
    parts: list[Cells] = []
    for keys, block in arrow.vote_blocks(table, "participant", names):
        seen = block != UNSEEN
        if block.min(initial=0) < DISAGREE or block.max(initial=0, where=seen) > AGREE:
            raise Doubtful
        row, column = np.nonzero(seen)
        parts.append(Cells(keys[row], ids[column], block[row, column]))
        people.append(keys)
    everyone = np.concatenate(people)
    if len(np.unique(everyone)) < len(everyone):
        raise Doubtful
    return everyone, _joined(parts)


def _wide_carefully(table: Table, names: list[str]) -> tuple[Ints, Cells]:
    places = [(table.header.index(name), int(name)) for name in names]
    key = table.index("participant")
    people: dict[int, int] = {}
    participant, statement, vote = array("q"), array("q"), array("q")
    for line, row in table:
        person = table.whole(row, line, key)
        _check_new(person, people, table, line)
        for place, id in places:
            if row[place].strip():
                participant.append(person)
                statement.append(id)
                vote.append(table.whole(row, line, place))
                _check_vote(vote[-1], table, line, table.header[place])
    cells = Cells(_numbers(participant), _numbers(statement), _numbers(vote).astype(np.int8))
    return np.array(list(people), dtype=np.int64), cells


def _check_new(person: int, people: dict[int, int], table: Table, line: int) -> None:
    if person in people:
        problem = f"participant {person} stands in line {people[person]} already"
        raise DataError(problem, file=table.path, line=line, expected="a row a participant")
    people[person] = line


def _check_vote(vote: int, table: Table, line: int, field: str) -> None:
    if vote not in (AGREE, 0, DISAGREE):
        raise DataError(
            f"vote {vote}", file=table.path, line=line, field=field, expected=_VOTE_WANTED
        )


def _joined(parts: list[Cells]) -> Cells:
    if not parts:
        return Cells(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int8))
    return Cells(
        np.concatenate([part.participant for part in parts]),
        np.concatenate([part.statement for part in parts]),
        np.concatenate([part.vote for part in parts]),
    )


def _numbers(values: array[int]) -> Ints:
    return np.array(values, dtype=np.int64)
