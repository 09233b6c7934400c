from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pytest

from charter.errors import DataError, InputError
from charter.evaluate.labelled import COMPLIED, DECLINED, Columns, read_labelled

COLUMNS = Columns(answer="completion", label="final_label", prompt="prompt")
ROWS = [
    {"prompt": "p1", "completion": "Sure.", "final_label": "1_full_compliance"},
    {"prompt": "p2", "completion": "No.", "final_label": "2_full_refusal"},
    {"prompt": "p3", "completion": "Half.", "final_label": "3_partial_refusal"},
]


def jsonl(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_columns_are_read_from_the_command_line() -> None:
    assert Columns.parse(" prompt=prompt, answer=completion,label=final_label") == COLUMNS
    assert Columns.parse("answer=a,label=b") == Columns("a", "b", "")


@pytest.mark.parametrize("text", ["", "answer=a", "prompt=p,label=l", "answer=a,label=", "x=1"])
def test_wrong_columns_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--columns"):
        Columns.parse(text)


def test_known_labels_need_no_option(tmp_path: Path) -> None:
    file = jsonl(tmp_path / "a.jsonl", [dict(r) for r in ROWS])
    complied = read_labelled(file, COLUMNS, known=COMPLIED)
    assert [a.positive for a in complied.answers] == [True, False, False]
    assert complied.positive == ("1_full_compliance",)
    declined = read_labelled(file, COLUMNS, known=DECLINED)
    # Declining in part is neither.
    assert [a.positive for a in declined.answers] == [False, True, False]


def test_positive_names_the_label_that_counts(tmp_path: Path) -> None:
    file = jsonl(tmp_path / "a.jsonl", [dict(r) for r in ROWS])
    found = read_labelled(file, COLUMNS, positive=["2_full_refusal", "3_partial_refusal"])
    assert [a.positive for a in found.answers] == [False, True, True]
    assert found.labels == {row["final_label"]: 1 for row in ROWS}


@pytest.mark.parametrize("label", [1, 1.0, True, "1", "true"])
def test_numbers_and_truth_values_are_labels(tmp_path: Path, label: object) -> None:
    rows: list[dict[str, object]] = [{"a": "x", "l": label}, {"a": "y", "l": 0}]
    found = read_labelled(jsonl(tmp_path / "a.jsonl", rows), Columns("a", "l"))
    assert [a.positive for a in found.answers] == [True, False]
    assert found.answers[0].prompt.messages == ()


def test_csv_and_gz_hold_the_same(tmp_path: Path) -> None:
    plain = tmp_path / "a.csv"
    with plain.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["prompt", "completion", "final_label"])
        writer.writeheader()
        writer.writerows(ROWS)
    packed = tmp_path / "b.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_labelled(plain, COLUMNS).answers == read_labelled(packed, COLUMNS).answers
    assert read_labelled(packed, COLUMNS).answers[1].text == "No."


def test_messages_stand_for_a_prompt_and_an_answer(tmp_path: Path) -> None:
    talk = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    rows: list[dict[str, object]] = [
        {"p": talk, "a": [{"role": "assistant", "content": "c"}], "l": 1},
        {"p": "q", "a": "d", "l": 0},
    ]
    first, _ = read_labelled(jsonl(tmp_path / "a.jsonl", rows), Columns("a", "l", "p")).answers
    assert [m.content for m in first.prompt.messages] == ["a", "b"] and first.text == "c"


def test_rows_without_a_label_are_counted(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"a": "x", "l": 1},
        {"a": "y", "l": ""},
        {"a": "z", "l": None},
        {"a": "w", "l": 0},
    ]
    found = read_labelled(jsonl(tmp_path / "a.jsonl", rows), Columns("a", "l"))
    assert len(found.answers) == 2 and found.dropped == {"no_label": 2}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"a": "x", "l": 1}, {"b": "y", "l": 0}], ":2: field 'a': no such column"),
        ([{"a": "x", "l": 1}, {"a": ["y"], "l": 0}], ":2: field 'a': is no text"),
        ([{"a": "x", "l": "maybe"}], ":1: field 'l': is 'maybe'"),
        ([{"a": "x", "l": 1}, {"a": "y", "l": 1}], "all rows are on one side"),
        ([{"a": "x", "l": ""}], "no labelled answers"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, rows: list[dict[str, object]], says: str) -> None:
    with pytest.raises(DataError) as error:
        read_labelled(jsonl(tmp_path / "a.jsonl", rows), Columns("a", "l"))
    assert says in str(error.value)


def test_a_label_that_never_comes_is_no_positive(tmp_path: Path) -> None:
    file = jsonl(tmp_path / "a.jsonl", [dict(r) for r in ROWS])
    with pytest.raises(DataError, match="no row is labelled 'yes'"):
        read_labelled(file, COLUMNS, positive=["yes"])
