"""A conversation: statements with their texts and the votes on them, as one export holds them.

Owns which statements count: those moderated out, without a text or without a single vote are left
out, and counted. It forms no groups and judges no statement.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from charter.collective.tables import Table, rows
from charter.collective.vote_files import read_votes
from charter.collective.votes import AGREE, VoteMatrix
from charter.errors import DataError

_VOTE_FILES = ("participants-votes", "votes")
"""The table of participants first: where moderators changed a vote, it has the last word."""
_MODERATED_OUT = -1


@dataclass(frozen=True, slots=True)
class Comment:
    """One line of `comments.csv`."""

    id: int
    text: str
    moderated: int = 1
    """-1 moderated out, 0 not looked at, 1 moderated in."""
    agrees: int | None = None
    disagrees: int | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """Statements and votes; column j of the matrix is the statement `texts[j]`."""

    name: str
    topic: str
    matrix: VoteMatrix
    texts: tuple[str, ...]
    left_out: dict[str, int]
    """Statements left out, by reason."""
    signs_reversed: bool = False
    """The totals in the comments file fit the votes only if 1 meant disagree."""


def read_folder(folder: Path) -> Conversation:
    """The conversation of a Polis export folder.

    Raises:
        DataError: a file is missing, or holds something wrong (with file and line).
    """
    if not folder.is_dir():
        raise DataError("no such folder", file=folder, expected="a Polis export")
    votes = _find(folder, _VOTE_FILES)
    found = read_files(votes, _find(folder, ("comments",)), name=folder.resolve().name)
    return Conversation(
        found.name,
        _topic(folder) or found.topic,
        found.matrix,
        found.texts,
        found.left_out,
        found.signs_reversed,
    )


def read_files(votes: Path, comments: Path, *, name: str = "") -> Conversation:
    """The conversation of two files, each plain or gzip.

    Raises:
        DataError: a file is missing, or holds something wrong (with file and line).
    """
    listed = read_comments(comments)
    matrix = read_votes(votes)
    reasons = {int(id): _left_out(listed.get(int(id))) for id in matrix.statements}
    reasons |= {id: _left_out(c) or "no votes" for id, c in listed.items() if id not in reasons}
    kept = np.array(sorted(id for id, reason in reasons.items() if not reason), dtype=np.int64)
    if not kept.size:
        raise DataError(
            "no statement with a text and votes",
            file=comments,
            line=1,
            expected=f"comment ids that stand in {votes}",
        )
    name = name or votes.name.partition(".")[0] or "votes"
    counted = dict(sorted(Counter(reason for reason in reasons.values() if reason).items()))
    return Conversation(
        name,
        name,
        matrix.with_statements(kept),
        tuple(listed[int(id)].text for id in kept),
        counted,
        _signs_reversed(matrix, listed),
    )


def read_comments(path: Path) -> dict[int, Comment]:
    """The statements of a file by id.

    Raises:
        DataError: with file and line.
    """
    table = Table(path)
    id_at, text_at = table.index("comment-id"), table.index("comment-body")
    found: dict[int, Comment] = {}
    for line, row in table:
        id = table.whole(row, line, id_at)
        if id in found:
            raise DataError(f"comment {id} stands twice", file=path, line=line, expected="once")
        found[id] = Comment(
            id,
            row[text_at],
            _moderated(table, row, line),
            _count(table, row, "agrees"),
            _count(table, row, "disagrees"),
        )
    return found


def clean(text: str) -> str:
    """A statement on one line, without control characters."""
    # Control characters and lone surrogates only: joiners, unseen too, spell words in Persian.
    words = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)
    return " ".join(words.split())


def _left_out(comment: Comment | None) -> str:
    if comment is None or not clean(comment.text):
        return "no text"
    return "moderated out" if comment.moderated == _MODERATED_OUT else ""


def _moderated(table: Table, row: Sequence[str], line: int) -> int:
    if "moderated" not in table.header:
        return 1
    place = table.index("moderated")
    value = table.whole(row, line, place)
    if value not in (-1, 0, 1):
        raise DataError(
            f"moderated is {value}", file=table.path, line=line, expected="-1 (out), 0 or 1 (in)"
        )
    return value


def _count(table: Table, row: Sequence[str], name: str) -> int | None:
    """A total of the export. It only checks the signs, so a missing one is no mistake."""
    text = row[table.header.index(name)].strip() if name in table.header else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


def _signs_reversed(matrix: VoteMatrix, listed: dict[int, Comment]) -> bool:
    """Whether the agreements fit the export's `disagrees` far better than its `agrees`.

    Polis stores an agreement as -1, and copies of its tables have been published that way.
    """
    straight = crossed = 0
    for id, count in zip(matrix.statements, matrix.counts(AGREE), strict=True):
        comment = listed.get(int(id))
        if comment and comment.agrees is not None and comment.disagrees is not None:
            straight += abs(int(count) - comment.agrees)
            crossed += abs(int(count) - comment.disagrees)
    return crossed * 4 < straight


def _find(folder: Path, stems: Sequence[str]) -> Path:
    names = [f"{stem}.csv{end}" for stem in stems for end in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"no {stems[0]}.csv in it", file=folder, expected=" or ".join(names))


def _topic(folder: Path) -> str:
    """The `topic` of a summary file, which has no header. Optional, so nothing in it is wrong."""
    for name in ("summary.csv", "summary.csv.gz"):
        if (folder / name).is_file():
            for _, row in rows(folder / name):
                if row[0] == "topic" and len(row) > 1:
                    return clean(row[1])
    return ""
