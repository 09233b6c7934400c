"""The small parts: files, forms, the held-out check, the tax."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from charter.errors import DataError, InputError
from charter.guard.redteam import behaviours, tax
from charter.guard.redteam.behaviours import Task
from charter.guard.redteam.judging import Judge, check_held_out
from charter.guard.redteam.plan import chosen_forms
from charter.guard.redteam.target import Answered
from charter.records import Message, Prompt, Sampling


def test_a_named_column_its_categories_and_repeated_rows(tmp_path: Path) -> None:
    file = tmp_path / "b.csv"
    file.write_text("Behavior,SemanticCategory\none,cyber\none,cyber\n ,x\ntwo,\n")
    found = behaviours.read(str(file), "redteam", text="Behavior", limit=None)
    assert [(p.messages[0].content, p.category) for p in found.prompts] == [
        ("one", "cyber"),
        ("two", ""),
    ]
    assert found.left_out == {"repeated": 1, "no text": 1}
    assert len(behaviours.read(str(file), "redteam", text="Behavior", limit=1).prompts) == 1


def test_a_missing_column_names_those_there_are(tmp_path: Path) -> None:
    file = tmp_path / "b.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="no such column") as caught:
        behaviours.read(str(file), "redteam", text="Behavior", limit=None)
    assert (caught.value.line, caught.value.expected) == (2, "a, b")


def test_a_task_without_an_answer_is_named(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text('{"question": "2+2?", "answer": "4"}\n{"question": "3+3?"}\n')
    with pytest.raises(DataError) as caught:
        behaviours.tasks(str(file), limit=None)
    assert (caught.value.line, caught.value.field) == (2, "answer")
    assert behaviours.tasks(str(file), limit=1)[0].answer == "4"


def test_forms_by_name() -> None:
    assert chosen_forms("base64, plain,hex") == ("plain", "base64", "hex")
    assert chosen_forms("all")[0] == "plain" and len(chosen_forms("all")) > 30
    for wrong in ("", "no_such_form"):
        with pytest.raises(InputError):
            chosen_forms(wrong)


@pytest.mark.parametrize("where", ["identity", "guard.json", "data.jsonl"])
def test_a_judge_that_is_a_part_of_the_guard_is_refused(
    judge: Judge, tmp_path: Path, where: str
) -> None:
    check_held_out(judge, ["words@000000000000"], [tmp_path])
    mark = judge.compliance.identity.partition("@")[2]
    if where != "identity":
        (tmp_path / where).write_text(f'{{"a": 1}}\n{{"by": "readout:{mark}"}}\n')
    guards = [f"cascade@{mark}"] if where == "identity" else []
    with pytest.raises(InputError, match="part of the guard"):
        check_held_out(judge, guards, [tmp_path])


@pytest.mark.parametrize(
    ("said", "known", "right"),
    [
        ("It is 3 + 4, so 7", "7", True),
        ("7 plus 1 is 8", "7", False),
        ("1,200 in all", "1200", True),
        ("The capital is **Paris**.", "paris", True),
        ("Comparison of cities", "Paris", False),
        ("nothing", "7", False),
    ],
)
def test_marks(said: str, known: str, right: bool) -> None:
    assert tax.is_right(said, known) is right


class Counts:
    """Answers right when plain, and every second time in a form; blocks the last task there."""

    identity = "counts"

    def ask(
        self, conversations: Sequence[tuple[Message, ...]], sampling: Sampling, seed: int
    ) -> list[Answered]:
        texts = [said[-1].content for said in conversations]
        if all(text.startswith("What") for text in texts):
            return [Answered(text.split()[-1]) for text in texts]
        found = [Answered(f"{i if i % 2 else -1}") for i in range(len(texts))]
        return [*found[:-1], Answered("no", blocked=True)]


def test_the_tax_is_the_share_of_right_answers_that_is_lost() -> None:
    tasks = [Task(Prompt(f"t{i}", (Message("user", f"What is {i}"),)), str(i)) for i in range(21)]
    found = tax.measure(Counts(), tasks, ("plain", "reverse"), Sampling(), 0)
    assert list(found) == ["reverse"]
    one: Any = found["reverse"]
    assert (one.n, one.unscored) == (20, {"blocked": 1})
    assert (one.plain.value, one.dressed.value, one.tax.value) == (1.0, 0.5, 0.5)
    assert one.tax.low < 0.5 < one.tax.high


def test_too_few_right_answers_have_no_tax() -> None:
    tasks = [Task(Prompt("t", (Message("user", "What is 1"),)), "1")] * 2
    assert tax.measure(Counts(), tasks, ("reverse",), Sampling(), 0)["reverse"].tax is None
