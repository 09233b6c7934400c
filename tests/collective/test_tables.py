from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from charter.collective.tables import Table, is_gzip, rows
from charter.errors import DataError


def _file(folder: Path, blob: bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(blob)
    return path


def test_rows_know_the_line_they_start_in(tmp_path: Path) -> None:
    path = _file(tmp_path, b'a,b\n1,"two\nlines"\n\n3,4\r\n')
    assert list(rows(path)) == [(1, ["a", "b"]), (2, ["1", "two\nlines"]), (5, ["3", "4"])]


def test_gzip_is_told_by_content_not_by_name(tmp_path: Path) -> None:
    path = _file(tmp_path, gzip.compress(b"a\n1\n"))
    assert is_gzip(path)
    assert [row for _, row in rows(path)] == [["a"], ["1"]]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert Table(_file(tmp_path, b"\xef\xbb\xbfvote,b\n1,2\n")).header == ["vote", "b"]


@pytest.mark.parametrize(
    ("blob", "line", "problem"),
    [
        (b"", 1, "no header"),
        (b"a,a\n1,2\n", 1, "'a' stands twice"),
        (b"a,b\n1,2\n1\n", 3, "1 fields"),
        (b"a,b\n1,2\n\xff\xfe,2\n", 3, "not UTF-8"),
        (b'a,b\n1,2\n"1,2\n', 3, "not valid CSV"),
        (b'a,b\n"1"x,2\n', 2, "not valid CSV"),
        pytest.param(
            gzip.compress(b"a,b\n" * 5000)[:-12], None, "cannot be read", id="packed, cut short"
        ),
        (b"\x1f\x8bnot gzip", 1, "cannot be read"),
    ],
)
def test_every_complaint_has_a_line(
    tmp_path: Path, blob: bytes, line: int | None, problem: str
) -> None:
    with pytest.raises(DataError, match=problem) as caught:
        list(Table(_file(tmp_path, blob)))
    assert caught.value.file is not None
    assert caught.value.line is not None
    assert line is None or caught.value.line == line


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"table\.csv:1: no column 'vote'"):
        Table(_file(tmp_path, b"a,b\n")).index("vote")


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        Table(tmp_path / "nothing.csv")


@pytest.mark.parametrize("text", ["1.0", "", "x", "1_0", "٣", "9" * 19, "0x1"])
def test_what_is_no_whole_number(tmp_path: Path, text: str) -> None:
    table = Table(_file(tmp_path, b"a\n1\n"))
    with pytest.raises(DataError, match=r":7: field 'a'"):
        table.whole([text], 7, 0)
