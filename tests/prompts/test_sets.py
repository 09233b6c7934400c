"""Prompt sets: the shipped ones, and other people's files in every format that is taken."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict

from charter.errors import DataError
from charter.prompts import sets
from charter.records import Message, Prompt

ROWS: list[dict[str, Any]] = [
    {"id": "one", "prompt": "How do I bake bread?", "category": "food", "split": "train"},
    {"id": "two", "prompt": 'What is "rye", in short?', "category": "food", "split": "eval"},
]
WANTED = [
    Prompt("one", (Message("user", "How do I bake bread?"),), "benign", "food", "train"),
    Prompt("two", (Message("user", 'What is "rye", in short?'),), "benign", "food", "eval"),
]


def write(path: Path, text: str) -> str:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8") as stream:
        stream.write(text)  # type: ignore[arg-type]
    return str(path)


def load(source: str, kind: str | None = "benign") -> list[Prompt]:
    return list(sets.load(source, kind))


def error_of(source: str) -> DataError:
    with pytest.raises(DataError) as caught:
        load(source)
    return caught.value


JSONL = "".join(json.dumps(row) + "\n" for row in ROWS)
CSV = (
    "id,prompt,category,split\n"
    "one,How do I bake bread?,food,train\n"
    'two,"What is ""rye"", in short?",food,eval\n'
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.jsonl", JSONL),
        ("p.jsonl.gz", JSONL),
        ("p.json", json.dumps(ROWS)),
        ("p.json.gz", json.dumps(ROWS)),
        ("p.csv", CSV),
        ("p.csv.gz", CSV),
        ("bom.csv", "\ufeff" + CSV),
        ("blank-lines.jsonl", "\n" + JSONL.replace("\n", "\n\n")),
    ],
)
def test_one_set_in_every_format(tmp_path: Path, name: str, text: str) -> None:
    assert load(write(tmp_path / name, text)) == WANTED


def test_a_saved_hugging_face_data_set(tmp_path: Path) -> None:
    Dataset.from_list(ROWS).save_to_disk(str(tmp_path / "set"))
    assert load(f"hf:{tmp_path / 'set'}") == WANTED


def test_a_split_of_a_saved_hugging_face_data_set(tmp_path: Path) -> None:
    both = DatasetDict(train=Dataset.from_list(ROWS[:1]), test=Dataset.from_list(ROWS[1:]))
    both.save_to_disk(str(tmp_path / "sets"))
    assert load(f"hf:{tmp_path / 'sets'}") == WANTED[:1]
    assert load(f"hf:{tmp_path / 'sets'}:test") == WANTED[1:]
    assert "cannot be loaded" in str(error_of(f"hf:{tmp_path / 'sets'}:nowhere"))


def test_hh_dialogues_up_to_the_last_answer(tmp_path: Path) -> None:
    chosen = "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: Bread?\n\nAssistant: Flour and water."
    row = {"chosen": chosen, "rejected": chosen + " No."}
    found = load(write(tmp_path / "hh.jsonl", json.dumps(row)))
    assert found[0].messages == (
        Message("user", "Hi"),
        Message("assistant", "Hello."),
        Message("user", "Bread?"),
    )


def test_hh_turns_keep_what_only_looks_like_a_turn() -> None:
    turns = sets.hh_turns("\n\nHuman: He said: Human: no\n\nAssistant: Assistant: odd\n\nbut so")
    assert turns == (
        Message("user", "He said: Human: no"),
        Message("assistant", "Assistant: odd\n\nbut so"),
    )


def test_chat_messages(tmp_path: Path) -> None:
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    found = load(write(tmp_path / "chat.jsonl", json.dumps({"messages": talk})))
    assert found[0].messages == (Message("system", "Be brief."), Message("user", "Hi"))


def test_plain_texts_in_a_json_list(tmp_path: Path) -> None:
    found = load(write(tmp_path / "plain.json", '["first", "second"]'))
    assert [p.messages[0].content for p in found] == ["first", "second"]


@pytest.mark.parametrize("field", ["prompt", "text", "question", "instruction", "goal", "Goal"])
def test_the_usual_text_fields(tmp_path: Path, field: str) -> None:
    found = load(write(tmp_path / "f.jsonl", json.dumps({field: " Hi there "})))
    assert found[0].messages[0].content == "Hi there"


@pytest.mark.parametrize(
    ("name", "text", "line", "says"),
    [
        ("a.jsonl", JSONL + "{oops\n", 3, "not JSON"),
        ("a.jsonl", JSONL + "[1]\n", 3, "is a list (expected an object)"),
        ("a.jsonl", JSONL + '{"prompt": "  "}\n', 3, "field 'prompt': is empty"),
        ("a.jsonl", '{"colour": "red"}\n', 1, "has fields ['colour']"),
        ("a.jsonl", '{"chosen": "no turns"}\n', 1, "field 'chosen'"),
        ("a.jsonl", '{"messages": []}\n', 1, "field 'messages': is empty"),
        ("a.jsonl", '{"messages": "hi"}\n', 1, "not a conversation"),
        ("a.jsonl", '{"messages": [{"role": "robot", "content": "hi"}]}\n', 1, "not a conv"),
        ("a.jsonl", '{"messages": [{"role": "assistant", "content": "hi"}]}\n', 1, "last turn"),
        ("a.json", '["a",\n"b"\n', 3, "not JSON"),
        ("a.json", '{"prompt": "a"}', None, "not a list"),
        ("a.csv", "colour\nred\n", 2, "has fields ['colour']"),
        ("a.csv", 'prompt\nfine\n"' + "x" * 200_000 + '"\n', 3, "not CSV"),
        ("a.txt", "hello", None, "unknown suffix '.txt'"),
    ],
)
def test_a_bad_row_names_file_and_line(
    tmp_path: Path, name: str, text: str, line: int | None, says: str
) -> None:
    source = write(tmp_path / name, text)
    error = error_of(source)
    assert (str(error.file), error.line) == (source, line)
    assert says in str(error)


@pytest.mark.parametrize(
    ("name", "text"), [("e.jsonl", ""), ("e.csv", "prompt\n"), ("e.json", "[]"), ("w.jsonl", "\n")]
)
def test_an_empty_file_is_an_error(tmp_path: Path, name: str, text: str) -> None:
    assert "no prompts in it" in str(error_of(write(tmp_path / name, text)))


def test_a_missing_file_is_an_error() -> None:
    assert "no such file" in str(error_of("nowhere.jsonl"))


def test_damaged_files_are_errors(tmp_path: Path) -> None:
    whole = gzip.compress(JSONL.encode() * 100)
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[:-20])
    (tmp_path / "flipped.jsonl.gz").write_bytes(whole[:20] + b"\xff\xff\xff" + whole[23:])
    (tmp_path / "plain.jsonl.gz").write_bytes(JSONL.encode())
    (tmp_path / "latin.jsonl").write_bytes('{"prompt": "größe"}\n'.encode("latin-1"))
    for name in ("cut.jsonl.gz", "flipped.jsonl.gz", "plain.jsonl.gz", "latin.jsonl"):
        assert "cannot be read" in str(error_of(str(tmp_path / name))), name


def test_without_an_id_or_a_split_the_text_decides(tmp_path: Path) -> None:
    texts = [f"question number {n}" for n in range(200)]
    source = write(tmp_path / "q.json", json.dumps(texts))
    found = load(source)
    assert found == load(source)
    assert len({p.id for p in found}) == 200
    backwards = load(write(tmp_path / "r.json", json.dumps(texts[::-1])))
    assert {p.id: p.split for p in backwards} == {p.id: p.split for p in found}
    # A quarter goes to eval: 50 expected, five standard deviations are 31.
    assert 19 < sum(p.split == "eval" for p in found) < 81


def test_small_differences_do_not_cross_the_split(tmp_path: Path) -> None:
    texts = [f"Question, number {n}!" for n in range(50)]
    rows = [t for text in texts for t in (text, text.upper(), text.replace(",", " ").strip("!"))]
    found = load(write(tmp_path / "q.json", json.dumps(rows)))
    for first, second, third in zip(found[::3], found[1::3], found[2::3], strict=True):
        assert first.split == second.split == third.split


@pytest.mark.parametrize("stated", ["test", "validation", "dev", "eval"])
def test_the_usual_names_of_a_held_out_split(tmp_path: Path, stated: str) -> None:
    row = {"prompt": "hi", "split": stated}
    assert load(write(tmp_path / "s.jsonl", json.dumps(row)))[0].split == "eval"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("data/advbench.csv", "redteam"),
        ("xstest_prompts.csv", "borderline"),
        ("helpful.jsonl", "benign"),
        ("mine.jsonl", "redteam"),
    ],
)
def test_a_file_name_suggests_a_kind(name: str, kind: str) -> None:
    assert sets.guess_kind(name) == kind


def test_a_row_may_state_its_own_kind(tmp_path: Path) -> None:
    source = write(tmp_path / "k.jsonl", '{"prompt": "hi", "kind": "borderline"}')
    assert load(source)[0].kind == "borderline"


def test_rows_are_streamed(tmp_path: Path) -> None:
    source = write(tmp_path / "s.jsonl", JSONL + "{oops\n")
    stream = sets.load(source, "benign")
    assert [next(stream), next(stream)] == WANTED


@pytest.mark.parametrize(
    ("kind", "count", "held_out"),
    [("redteam", 240, 80), ("benign", 240, 80), ("borderline", 120, 40)],
)
def test_the_shipped_sets_are_large_and_varied(kind: str, count: int, held_out: int) -> None:
    found = sets.library(kind)
    assert len(found) >= count
    assert len({p.category for p in found}) >= 12
    assert sum(p.split == "eval" for p in found) >= held_out
    assert {p.kind for p in found} == {kind}
    assert {p.category for p in found if p.split == "eval"} == {p.category for p in found}


def test_no_shipped_text_or_id_stands_twice() -> None:
    found = [p for kind in sets.LIBRARY for p in sets.library(kind)]
    assert len({p.id for p in found}) == len(found)
    normal = [" ".join(p.messages[-1].content.lower().split()) for p in found]
    assert len(set(normal)) == len(found)


def test_the_shipped_halves_share_no_text() -> None:
    halves: dict[str, set[str]] = {"train": set(), "eval": set()}
    for kind in sets.LIBRARY:
        for p in sets.library(kind):
            words = "".join(c for c in p.messages[-1].content.lower() if c.isalnum())
            halves[p.split].add(words)
    assert not halves["train"] & halves["eval"]


def test_library_is_a_source_like_any_other() -> None:
    assert load("library", "borderline") == sets.library("borderline")
