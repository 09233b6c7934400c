from __future__ import annotations

import json
from pathlib import Path

import pytest

from charter.constitution import document
from charter.errors import DataError
from charter.guard import sources
from charter.guard.examples import LabelledAnswer

DEFAULT = document.load("default")


def write(path: Path, *rows: dict[str, object]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_every_category_of_the_shipped_document_has_prompts_at_hand() -> None:
    found = sources.by_category(DEFAULT)
    assert set(found) == set(sources.categories(DEFAULT))
    assert min(map(len, found.values())) >= 8
    for id, (label, _) in sources.categories(DEFAULT).items():
        assert {given.label for given in found[id]} == {label}


def test_the_pool_has_long_role_plays_code_and_mails() -> None:
    long = [g.prompt for g in sources.pool(DEFAULT) if g.prompt.kind == "benign_long"]
    assert len(long) >= 120
    assert min(len(p.messages[0].content.split()) for p in long) >= 90
    assert {"roleplay", "code", "mail", "essay", "setup"} <= {p.category for p in long}
    assert {p.split for p in long} == {"train", "eval"}
    assert {g.label for g in sources.pool(DEFAULT)} == {"harmless"}


def test_pool_and_categories_do_not_share_prompts() -> None:
    pool = {g.prompt.id for g in sources.pool(DEFAULT)}
    taken = {g.prompt.id for found in sources.by_category(DEFAULT).values() for g in found}
    assert not pool & taken


def test_rows_without_a_category_cite_a_clause_all_the_same() -> None:
    assert sources.fallback_clauses(DEFAULT, "harmful") == ("no-harm",)
    assert sources.fallback_clauses(DEFAULT, "harmless") == ("answer-harmless",)


def test_own_examples_are_read(tmp_path: Path) -> None:
    file = tmp_path / "own.csv"
    file.write_text(
        "text,label,category,answer\n"
        "How do I pick your lock?,harmful,theft,\n"
        "How do I fix my lock?,0,,Oil it.\n"
    )
    one, two = sources.from_file(str(file), DEFAULT)
    assert (one.label, one.category, one.answers) == ("harmful", "theft", ())
    assert (two.label, two.category) == ("harmless", "")
    assert two.answers == (LabelledAnswer("Oil it.", "harmless", "file"),)


def test_a_refused_harmful_prompt_is_a_harmless_answer(tmp_path: Path) -> None:
    row = {"text": "Steal it.", "label": "harmless", "prompt_label": "harmful", "answer": "No."}
    (given,) = sources.from_file(write(tmp_path / "own.jsonl", row), DEFAULT)
    assert given.label == "harmful" and given.answers[0].label == "harmless"


def test_rows_of_one_prompt_are_merged(tmp_path: Path) -> None:
    rows = [{"text": "Why?", "label": "safe", "answer": a} for a in ("One.", "Two.")]
    (given,) = sources.merged(sources.from_file(write(tmp_path / "o.jsonl", *rows), DEFAULT))
    assert [answer.text for answer in given.answers] == ["One.", "Two."]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"text": "x y", "label": "maybe"}, "label"),
        ({"text": "x y"}, "label"),
        ({"text": "x y", "label": "harmful", "category": "nonsense"}, "category"),
        ({"text": "x y", "label": "harmless", "category": "theft"}, "label"),
        ({"text": " ", "label": "harmful"}, "text"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, row: dict[str, object], field: str) -> None:
    good = {"text": "fine", "label": "harmless"}
    file = write(tmp_path / "own.jsonl", good, row)
    with pytest.raises(DataError) as caught:
        list(sources.from_file(file, DEFAULT))
    assert (caught.value.line, caught.value.field) == (2, field)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no examples"):
        list(sources.from_file(write(tmp_path / "own.jsonl"), DEFAULT))
