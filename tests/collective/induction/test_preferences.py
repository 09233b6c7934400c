"""Reading preferences, and dividing them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from charter.collective.induction.preferences import (
    Preferences,
    divided,
    of_labels,
    read,
    shared_questions,
)
from charter.errors import DataError
from charter.records import Abstention, Comparison, Labelled, Message, Origin, Prompt, Verdict


def csv_of(path: Path, rows: list[str]) -> Path:
    path.write_text("\n".join([",text_a,text_b,preferred_text", *rows, ""]), encoding="utf-8")
    return path


def plain(count: int) -> list[str]:
    return [f"{n},good {n},bad {n},text_{'ab'[n % 2]}" for n in range(count)]


def test_the_instruction_becomes_the_prompt(tmp_path: Path) -> None:
    rows = [
        f'{n},"Instruction: Why?\n\nOutput: yes {n}","Instruction: Why?\n\nOutput: no {n}",text_b'
        for n in range(8)
    ]
    found = read(csv_of(tmp_path / "x.csv", rows))
    first = found.comparisons[0]
    assert (first.prompt.messages[0].content, first.a, first.b) == ("Why?", "yes 0", "no 0")
    assert set(found.signs) == {-1}


def test_texts_without_a_common_instruction_stand_as_they_are(tmp_path: Path) -> None:
    rows = [
        f'{n},"Instruction: A\nOutput: x","Instruction: B\nOutput: {n}",text_a' for n in range(8)
    ]
    first = read(csv_of(tmp_path / "x.csv", rows)).comparisons[0]
    assert first.a == "Instruction: A\nOutput: x"


def test_rows_without_a_preference_are_counted(tmp_path: Path) -> None:
    rows = [*plain(8), "8,a,b,", "9,a,b,both", "10,same,same,text_a"]
    found = read(csv_of(tmp_path / "x.csv", rows))
    assert len(found.signs) == 8
    assert found.left_out == {"no_preference": 2, "same_answer": 1}


def test_a_limit_takes_the_first_pairs(tmp_path: Path) -> None:
    file = csv_of(tmp_path / "x.csv", plain(20))
    assert read(file, limit=9).comparisons == read(file).comparisons[:9]


def test_chosen_and_rejected_are_read_too(tmp_path: Path) -> None:
    rows = [{"prompt": f"q{n}", "chosen": "yes", "rejected": "no"} for n in range(8)]
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert read(file).signs == (1,) * 8


def test_annotated_pairs_are_read_too(tmp_path: Path) -> None:
    comparisons = [
        {
            "id": str(n),
            "prompt": f"q{n}",
            "response_a": {"text": "yes"},
            "response_b": {"text": "no"},
            "annotations": {"me": {"pref": "b" if n else None}},
        }
        for n in range(9)
    ]
    tree = {
        "metadata": {"version": "2.0", "default_annotator": "me"},
        "annotators": {"me": {"description": "me", "type": "human"}},
        "comparisons": comparisons,
    }
    file = tmp_path / "annotated.json"
    file.write_text(json.dumps(tree), encoding="utf-8")
    found = read(file)
    assert found.signs == (-1,) * 8
    assert found.left_out == {"no_preference": 1}


def test_labels_are_preferences_and_abstentions_are_counted() -> None:
    labels = []
    for n in range(10):
        prompt = Prompt(f"p{n}", (Message("user", f"q{n}"),))
        comparison = Comparison(f"c{n}", prompt, "yes", "no", Origin("t", "m"))
        label = Abstention(f"c{n}", "timeout", "j") if n == 3 else Verdict(f"c{n}", 0.2, (), "j")
        labels.append(Labelled(comparison, Verdict(f"c{n}", 0.5, (), "j") if n == 4 else label))
    found = of_labels("run", labels)
    assert found.signs == (-1,) * 8
    assert found.left_out == {"tie": 1, "timeout": 1}


def test_too_few_pairs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"7 pairs with a preference \(expected at least 8\)"):
        read(csv_of(tmp_path / "x.csv", plain(7)))


def test_a_row_without_text_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("text_a,preferred_text\nyes,text_a\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"x\.csv:2: field 'text_b': is missing"):
        read(file)


def test_each_question_is_shared_out_and_each_pair_stands_once(planted: Preferences) -> None:
    train, held = divided(planted, 0.3, 0)
    assert sorted([*train, *held]) == list(range(40))
    asked = Counter(planted.comparisons[i].prompt.messages[0].content for i in held)
    assert asked == {"Which tree?": 6, "Which drink?": 6}
    assert shared_questions(planted, held) == 12


def test_the_division_goes_by_the_seed_alone(planted: Preferences) -> None:
    assert divided(planted, 0.3, 1) == divided(planted, 0.3, 1)
    assert divided(planted, 0.3, 1) != divided(planted, 0.3, 2)


def test_the_same_pair_is_never_on_both_sides(planted: Preferences) -> None:
    twice = Preferences(
        "x",
        planted.comparisons + tuple(c.swap() for c in planted.comparisons),
        planted.signs + tuple(-s for s in planted.signs),
        {},
        "",
    )
    train, held = divided(twice, 0.3, 0)
    assert {i % 40 for i in train}.isdisjoint({i % 40 for i in held})
