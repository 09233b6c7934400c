from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from charter.collective import vote_files
from charter.collective.arrow import Doubtful
from charter.collective.vote_files import read_votes
from charter.collective.votes import VoteMatrix
from charter.errors import DataError

LOG = b"timestamp,comment-id,voter-id,vote\n2,0,5,1\n1,0,5,-1\n3,7,5,0\n3,7,6,-1\n"
WIDE = b"participant,group-id,n-votes,0,7\n5,0,2,1,0\n6,,1,,-1\n8,,0,,\n"


def _file(folder: Path, blob: bytes) -> Path:
    path = folder / "votes.csv"
    path.write_bytes(blob)
    return path


def _same(one: VoteMatrix, other: VoteMatrix) -> bool:
    return (
        one.participants.tolist() == other.participants.tolist()
        and one.statements.tolist() == other.statements.tolist()
        and one.votes.indptr.tolist() == other.votes.indptr.tolist()
        and one.votes.indices.tolist() == other.votes.indices.tolist()
        and one.votes.data.tolist() == other.votes.data.tolist()
    )


def _without_quick_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    def doubt(*arguments: object) -> Iterator[object]:
        raise Doubtful

    monkeypatch.setattr(vote_files.arrow, "whole_numbers", doubt)
    monkeypatch.setattr(vote_files.arrow, "vote_blocks", doubt)


@pytest.mark.parametrize(
    "blob",
    [LOG, gzip.compress(LOG), WIDE, gzip.compress(WIDE)],
    ids=["log", "log packed", "wide", "wide packed"],
)
@pytest.mark.parametrize("careful", [False, True])
def test_both_formats_and_both_readers(
    tmp_path: Path, blob: bytes, careful: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if careful:
        _without_quick_reader(monkeypatch)
    matrix = read_votes(_file(tmp_path, blob))
    assert matrix.participants.tolist()[:2] == [5, 6]
    assert matrix.statements.tolist() == [0, 7]
    assert matrix.votes.indptr.tolist()[:3] == [0, 2, 3]
    assert matrix.votes.indices.tolist() == [0, 1, 1]
    assert matrix.votes.data.tolist() == [1, 0, -1]


def test_a_participant_without_votes_takes_part(tmp_path: Path) -> None:
    assert read_votes(_file(tmp_path, WIDE)).seen.tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (LOG.replace(b"3,7,6,-1", b"3,7,6,2"), r":5: field 'vote': vote 2"),
        (LOG.replace(b"3,7,6,-1", b"3,7,6,"), r":5: field 'vote': '' is not a whole number"),
        (LOG.replace(b"3,7,5,0", b"3,x,5,0"), r":4: field 'comment-id'"),
        (LOG.replace(b"3,7,5,0", b"3,7,5"), r":4: 3 fields"),
        (LOG.replace(b"1,0,5,-1", b"1.5,0,5,-1"), r":3: field 'timestamp'"),
        (LOG.replace(b"vote\n", b"votes\n"), r":1: not a Polis vote file"),
        (LOG.splitlines()[0] + b"\n", r":1: no votes"),
        (WIDE.replace(b"6,,1,,-1", b"6,,1,,9"), r":3: field '7': vote 9"),
        (WIDE.replace(b"6,,1,,-1", b"6,,1,,agree"), r":3: field '7': 'agree'"),
        (WIDE.replace(b"8,,0,,", b"5,,0,,"), r":4: participant 5 stands in line 2"),
        (WIDE.replace(b"8,,0,,", b",,0,,"), r":4: field 'participant'"),
        (WIDE.replace(b",0,7\n", b",0,00\n"), r":1: a statement id stands twice"),
        (b"participant,n-votes\n1,0\n", r":1: no statement columns"),
        (b"participant,0\n1,\n", r":1: no votes"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, blob: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_votes(_file(tmp_path, blob))


def test_a_quoted_field_is_read_all_the_same(tmp_path: Path) -> None:
    quoted = LOG.replace(b"timestamp", b'"time\nstamp"').replace(b"3,7,6,-1", b'"3","7","6","-1"')
    assert read_votes(_file(tmp_path, quoted)).votes.data.tolist() == [-1, 0, -1]


def test_real_votes_are_what_the_csv_module_reads(polis: Path) -> None:
    file = polis / "participants-votes.csv.gz"
    with gzip.open(file, "rt", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    wanted = {
        (int(row["participant"]), int(name)): int(value)
        for row in rows
        for name, value in row.items()
        if name.isdigit() and value
    }
    matrix = read_votes(file)
    found = matrix.votes.tocoo()
    assert len(rows) == len(matrix.participants)
    assert wanted == {
        (int(matrix.participants[i]), int(matrix.statements[j])): int(vote)
        for i, j, vote in zip(found.row, found.col, found.data, strict=True)
    }


def test_the_log_of_a_real_conversation_ends_in_its_table(polis: Path) -> None:
    if not (polis / "votes.csv.gz").is_file():
        pytest.skip(f"{polis.name} has no log of votes")
    log, table = (read_votes(polis / f"{n}.csv.gz") for n in ("votes", "participants-votes"))
    voted = table.with_participants(table.seen > 0)
    with_votes = np.flatnonzero(np.bincount(voted.votes.indices)).tolist()
    assert log.statements.tolist() == [int(voted.statements[i]) for i in with_votes]
    assert _same(log, voted.with_statements(log.statements))


def test_many_blocks_are_one_file(
    tmp_path: Path,
    write_rows: Callable[[Path, Iterable[list[object]]], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vote_files.arrow, "_BLOCK", 1 << 10)
    draw = np.random.default_rng(0)
    rows = [[int(v) for v in draw.integers(-1, 2, 9)] for _ in range(500)]
    head = ["participant", *range(9)]
    path = write_rows(tmp_path / "v.csv", [head, *([i, *row] for i, row in enumerate(rows))])
    assert read_votes(path).votes.data.tolist() == [v for row in rows for v in row]
