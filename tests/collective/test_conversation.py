from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from charter.collective.conversation import Conversation, clean, read_comments, read_folder
from charter.errors import DataError

Write = Callable[..., Conversation]
VOTES = [(1, 0, 0, 1), (1, 1, 0, -1), (1, 2, 0, 1), (1, 3, 0, 1), (1, 0, 1, 1)]


def test_statements_without_consent_text_or_votes_are_left_out_and_counted(write: Write) -> None:
    comments = [(0, 1, "Kept."), (1, -1, "Out."), (2, 1, " \n"), (4, 0, "Never voted on.")]
    found = write(VOTES, comments)
    assert found.texts == ("Kept.",)
    assert found.matrix.statements.tolist() == [0]
    assert found.left_out == {"moderated out": 1, "no text": 2, "no votes": 1}


def test_a_statement_not_looked_at_by_moderators_stays(write: Write) -> None:
    assert write(VOTES, [(0, 0, "Not moderated.")]).texts == ("Not moderated.",)


def test_nothing_left_is_an_error(write: Write) -> None:
    with pytest.raises(DataError, match=r"comments\.csv:1: no statement with a text and votes"):
        write(VOTES, [(9, 1, "Of another conversation.")])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("x,1,Text", r":3: field 'comment-id'"),
        ("0,1,Again", r":3: comment 0 stands twice"),
        ("1,5,Text", r":3: moderated is 5"),
        ("1,1", r":3: 2 fields"),
    ],
)
def test_a_wrong_comment_is_named_with_its_line(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "comments.csv"
    path.write_text(f"comment-id,moderated,comment-body\n0,1,Text\n{row}\n", encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_comments(path)


def _with_totals(folder: Path, agrees: int, disagrees: int) -> Conversation:
    (folder / "comments.csv").write_text(
        f"comment-id,agrees,disagrees,moderated,comment-body\n0,{agrees},{disagrees},1,Text\n"
    )
    votes = "".join(f"0,{person},{1 if person < 20 else -1}\n" for person in range(22))
    (folder / "votes.csv").write_text(f"comment-id,voter-id,vote\n{votes}")
    return read_folder(folder)


def test_reversed_signs_are_noticed(tmp_path: Path) -> None:
    assert not _with_totals(tmp_path, 20, 2).signs_reversed
    assert _with_totals(tmp_path, 2, 20).signs_reversed
    assert not _with_totals(tmp_path, 0, 0).signs_reversed


def test_a_folder_without_votes_says_what_it_wants(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"participants-votes\.csv or participants-votes\.csv\.gz"):
        read_folder(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        read_folder(tmp_path / "nowhere")


def test_the_topic_comes_from_the_summary(tmp_path: Path) -> None:
    (tmp_path / "summary.csv").write_text('topic,"A fair\nrule?"\nviews,3\n')
    assert _with_totals(tmp_path, 20, 2).topic == "A fair rule?"


def test_real_conversations_hold_what_moderators_left_in(polis: Path) -> None:
    with gzip.open(polis / "comments.csv.gz", "rt", encoding="utf-8", newline="") as stream:
        comments = {row["comment-id"]: row for row in csv.DictReader(stream)}
    with gzip.open(polis / "participants-votes.csv.gz", "rt", newline="") as stream:
        columns = [name for name in next(csv.reader(stream)) if name.isdigit()]
    kept = sorted(int(name) for name in columns if comments[name]["moderated"] != "-1")
    found = read_folder(polis)
    assert found.matrix.statements.tolist() == kept
    assert list(found.texts) == [comments[str(id)]["comment-body"] for id in kept]
    assert not found.signs_reversed


def test_a_clean_statement_is_one_line_without_control_characters() -> None:
    assert clean(" a\x00b\u2028c\r\n d\x85e ") == "a b c d e"
    assert clean("می‌خواهم") == "می‌خواهم", "a joiner is part of the word"
