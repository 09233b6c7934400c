"""Small conversations written as files, planted electorates, and the real ones where they lie."""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from charter.collective.conversation import Conversation, read_files
from charter.collective.votes import Cells, VoteMatrix

DATA = Path(os.environ.get("CHARTER_DATA") or Path(__file__).parents[3] / "shared" / "data")
NAMES = (
    "15-per-hour-seattle",
    "american-assembly.bowling-green",
    "brexit-consensus",
    "scoop-hivemind.biodiversity",
    "scoop-hivemind.ubi",
    "vtaiwan.uberx",
)


@pytest.fixture(params=NAMES)
def polis(request: pytest.FixtureRequest) -> Path:
    """The export folder of each real conversation in turn."""
    folder = DATA / "polis" / str(request.param)
    if not folder.is_dir():
        pytest.skip(f"no Polis conversation in {folder} (set CHARTER_DATA)")
    return folder


@pytest.fixture
def write_rows() -> Callable[[Path, Iterable[Sequence[object]]], Path]:
    """Writes a CSV file; gzip if its name says so."""
    return _write_rows


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Conversation]:
    """A conversation from the rows below the headers of `votes.csv` and `comments.csv`."""

    def written(
        votes: Sequence[Sequence[object]], comments: Sequence[Sequence[object]]
    ) -> Conversation:
        header = ("timestamp", "comment-id", "voter-id", "vote")
        votes_file = _write_rows(tmp_path / "votes.csv", [header, *votes])
        texts = [("comment-id", "moderated", "comment-body"), *comments]
        return read_files(votes_file, _write_rows(tmp_path / "comments.csv", texts))

    return written


@dataclass(frozen=True)
class Electorate:
    """People in planted groups; the first statements are what all of them agree with."""

    conversation: Conversation
    group: npt.NDArray[np.int64]
    consensus: int
    divisive: int
    """The statement after the consensus: group 0 agrees with it, group 1 does not."""


@pytest.fixture(scope="session")
def electorate() -> Callable[..., Electorate]:
    """Makes planted electorates."""
    return _electorate


@pytest.fixture(scope="session")
def dense() -> Callable[[VoteMatrix], npt.NDArray[np.float64]]:
    """The matrix with NaN where a statement was not seen, built cell by cell."""
    return _dense


def _write_rows(path: Path, rows: Iterable[Sequence[object]]) -> Path:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)
    return path


def _electorate(
    *, people: int = 400, statements: int = 60, groups: int = 3, each: int = 40, seed: int = 0
) -> Electorate:
    """A planted electorate: everyone votes on `each` statements drawn at random."""
    draw = np.random.default_rng(seed)
    consensus = 5
    shares = np.array([5, 3, 2, 2, 2][:groups]) / sum([5, 3, 2, 2, 2][:groups])
    group = np.sort(draw.choice(groups, people, p=shares))
    agree = draw.choice([0.1, 0.9], size=(groups, statements))
    agree[draw.integers(groups, size=statements), np.arange(statements)] = 0.1
    agree[:, :consensus] = 0.97
    agree[:, consensus] = [0.95, *[0.05] * (groups - 1)]
    person = np.repeat(np.arange(people), each)
    place = np.concatenate([draw.choice(statements, each, replace=False) for _ in range(people)])
    vote = np.where(draw.random(person.size) < agree[group[person], place], 1, -1)
    vote[draw.random(person.size) < 0.02] = 0
    matrix = VoteMatrix.of(Cells(person, place, vote.astype(np.int8)))
    texts = tuple(f"Statement {i}." for i in range(statements))
    found = Conversation("planted", "A planted electorate", matrix, texts, {})
    return Electorate(found, group, consensus, consensus)


def _dense(matrix: VoteMatrix) -> npt.NDArray[np.float64]:
    full = np.full(matrix.votes.shape, np.nan)
    votes = matrix.votes
    for row in range(full.shape[0]):
        for at in range(votes.indptr[row], votes.indptr[row + 1]):
            full[row, votes.indices[at]] = votes.data[at]
    return full
