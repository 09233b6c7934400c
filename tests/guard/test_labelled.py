from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from charter.errors import DataError
from charter.guard import labelled


def test_csv_columns_are_named(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text('Behavior,reply\n"bake, bread",sure\nrest,\n,yes\n')
    found = labelled.read(str(file), text="Behavior", answer="reply")
    assert [(r.messages[0].content, r.answer) for r in found.rows] == [("bake, bread", "sure")]
    assert dict(found.unscored) == {"no answer": 1, "no text": 1}


def test_jsonl_with_usual_names_and_with_a_limit(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl.gz"
    with gzip.open(file, "wt") as stream:
        for i in range(5):
            stream.write(json.dumps({"prompt": f"p{i}", "category": "c"}) + "\n")
    found = labelled.read(str(file), limit=3)
    assert [r.messages[0].content for r in found.rows] == ["p0", "p1", "p2"]
    assert labelled.groups(found.rows, "category") == {"c": [0, 1, 2]}
    assert labelled.groups(found.rows, "form") == {}


def test_guard_data_is_read_as_it_is(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    row = {"conversation": [*turns, turns[0]], "answer": "x", "form": "base64", "category": ""}
    (tmp_path / "x.jsonl").write_text(json.dumps(row))
    (found,) = labelled.read(str(tmp_path / "x.jsonl")).rows
    assert (len(found.messages), found.answer, found.group["form"]) == (3, "x", "base64")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ('{"prompt": "a"}', {"text": "goal"}, "goal.*no such column.*prompt"),
        ('{"prompt": ""}', {"text": "prompt"}, "nothing in it can be scored.*no text 1"),
        ("[]", {}, "nothing|expected"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, text: str, options: dict[str, str], message: str
) -> None:
    (tmp_path / "x.jsonl").write_text(text)
    with pytest.raises(DataError, match=message):
        labelled.read(str(tmp_path / "x.jsonl"), **options)  # type: ignore[arg-type]


def test_a_column_that_both_files_have_need_not_be_named_twice(tmp_path: Path) -> None:
    (tmp_path / "with.csv").write_text("Behavior,other\na,b\n")
    (tmp_path / "without.jsonl").write_text('{"prompt": "a"}\n"plain text"\n')
    assert labelled.shared_column(str(tmp_path / "with.csv"), "Behavior") == "Behavior"
    assert labelled.shared_column(str(tmp_path / "without.jsonl"), "Behavior") is None
    assert labelled.shared_column(str(tmp_path / "with.csv"), None) is None
