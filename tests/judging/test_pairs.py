"""Pair files: every format that people bring, and what is said of a row that is none."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from charter.errors import DataError
from charter.judging.pairs import PairFile, read_pairs

HH = {
    "chosen": "\n\nHuman: Hello\n\nAssistant: Hi\n\nHuman: How?\n\nAssistant: So.",
    "rejected": "\n\nHuman: Hello\n\nAssistant: Hi\n\nHuman: How?\n\nAssistant: No idea.",
}


def written(folder: Path, *rows: Any, name: str = "pairs.jsonl") -> Path:
    file = folder / name
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def read(folder: Path, *rows: Any) -> PairFile:
    return read_pairs(written(folder, *rows))


def test_hh_names_the_better_answer_first(tmp_path: Path) -> None:
    [pair] = read(tmp_path, HH).pairs
    assert (pair.comparison.a, pair.comparison.b, pair.p_a) == ("So.", "No idea.", 1.0)
    turns = [(m.role, m.content) for m in pair.comparison.prompt.messages]
    assert turns == [("user", "Hello"), ("assistant", "Hi"), ("user", "How?")]


def test_gzip_is_read(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl.gz"
    file.write_bytes(gzip.compress(json.dumps(HH).encode()))
    assert len(read_pairs(file).pairs) == 1


@pytest.mark.parametrize(
    ("label", "p_a"),
    [
        ({"label": "a"}, 1.0),
        ({"label": "B"}, 0.0),
        ({"label": "tie"}, 0.5),
        ({"p_a": 0.3}, 0.3),
        ({"p_a": 0.3, "label": "a"}, 0.3),
    ],
)
def test_labels_of_a_and_b(tmp_path: Path, label: dict[str, Any], p_a: float) -> None:
    [pair] = read(tmp_path, {"prompt": "How?", "a": "So.", "b": "No.", **label}).pairs
    assert (pair.comparison.a, pair.comparison.b, pair.p_a) == ("So.", "No.", p_a)
    assert pair.swap().p_a == 1 - p_a and pair.swap().comparison.a == "No."
    assert pair.preferred_first().p_a == max(p_a, 1 - p_a)


def test_trl_preference_rows(tmp_path: Path) -> None:
    prompt = [{"role": "user", "content": "How?"}]
    answers = {
        "chosen": [{"role": "assistant", "content": "So."}],
        "rejected": [*prompt, {"role": "assistant", "content": "No."}],
    }
    plain = {"prompt": "How?", "chosen": "So.", "rejected": "No.", "p": 0.8}
    first, second = read(tmp_path, {"prompt": prompt, **answers}, plain).pairs
    assert (first.comparison.a, first.comparison.b, first.p_a) == ("So.", "No.", 1.0)
    assert first.comparison.prompt == second.comparison.prompt
    assert first.comparison.id == second.comparison.id
    assert second.p_a == 0.8


def test_rows_that_say_nothing_are_counted(tmp_path: Path) -> None:
    same = {"prompt": "How?", "a": "So.", "b": "So.", "label": "a"}
    parted = {**HH, "rejected": "\n\nHuman: Hey\n\nAssistant: No idea."}
    found = read(tmp_path, same, HH, parted)
    assert len(found.pairs) == 1
    assert found.dropped == {"same_answer": 1, "different_dialogues": 1}


def test_a_limit_takes_the_first_pairs_and_reads_no_further(tmp_path: Path) -> None:
    file = written(tmp_path, HH, {**HH, "rejected": HH["rejected"] + "!"})
    with file.open("a") as stream:
        stream.write("broken\n")
    assert [p.comparison.b for p in read_pairs(file, limit=2).pairs] == ["No idea.", "No idea.!"]


@pytest.mark.parametrize(
    ("row", "field", "word"),
    [
        ({"prompt": "How?"}, None, "chosen and rejected"),
        (["a", "b"], None, "object"),
        ({"chosen": HH["chosen"]}, "rejected", "missing"),
        ({**HH, "chosen": "no turns"}, "chosen", "Human:"),
        ({**HH, "rejected": "\n\nHuman: only"}, "rejected", "answer"),
        ({"prompt": "How?", "a": "So.", "b": 3, "label": "a"}, "b", "int"),
        ({"prompt": "How?", "a": "So.", "b": "No."}, "label", "a, b or tie"),
        ({"prompt": "How?", "a": "So.", "b": "No.", "label": 1}, "label", "a, b or tie"),
        ({"prompt": "How?", "a": "So.", "b": "No.", "p_a": 1.5}, "p_a", "between 0 and 1"),
        ({"prompt": "How?", "a": "So.", "b": "No.", "p_a": "x"}, "p_a", "between 0 and 1"),
        ({"prompt": "How?", "chosen": [], "rejected": "No."}, "chosen", "has no answer"),
        ({"a": "So.", "b": "No.", "label": "a"}, None, "prompt"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: Any, field: str | None, word: str) -> None:
    file = written(tmp_path, HH, row)
    with pytest.raises(DataError) as caught:
        read_pairs(file)
    assert (caught.value.line, caught.value.field) == (2, field)
    assert str(file) in str(caught.value) and word in str(caught.value)


def test_text_that_is_no_json_and_a_file_without_pairs(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text(json.dumps(HH) + "\n{oh\n")
    with pytest.raises(DataError, match=r"pairs.jsonl:2: not JSON"):
        read_pairs(file)
    file.write_text("\n")
    with pytest.raises(DataError, match="no labelled pairs"):
        read_pairs(file)
    with pytest.raises(DataError, match="no such file"):
        read_pairs(tmp_path / "absent.jsonl")
