"""From a record back to the clauses that made it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from charter.constitution.document import Constitution, Principle
from charter.errors import DataError
from charter.records import (
    Comparison,
    Demonstration,
    Labelled,
    Message,
    Origin,
    PrincipleVote,
    Prompt,
    Record,
    RevisionChain,
    Rollout,
    Step,
    Verdict,
)
from charter.tracing import trace


def principle(id: str) -> Principle:
    return Principle(id, f"Title of {id}", f"Text of {id}.", "c", "r", "q")


CONSTITUTION = Constitution(
    "charter/constitution/1", "test", "1", tuple(map(principle, ("calm", "lawful", "fair")))
)
ORIGIN = Origin("critique", "policy@1")
PROMPT = Prompt("p0", (Message("user", "principle: fair"),), "redteam")
CHAIN = RevisionChain(
    "p0/critique",
    PROMPT,
    "critique",
    "draft",
    (Step("lawful", "c1", "r1"), Step("calm", "c2", "r2"), Step("lawful", "c3", "r3")),
    ORIGIN,
)
IMITATED = Demonstration("p0/critique#1", PROMPT, "r2", "revision", CHAIN.id, ORIGIN)
HELPFUL = Demonstration("p1/helpful", PROMPT, "text", "helpful", "", ORIGIN)
PAIR = Comparison("p0/pair0", PROMPT, "a", "b", ORIGIN)
LABELLED = Labelled(PAIR, Verdict(PAIR.id, 0.9, (PrincipleVote("fair", 0.9, 0.9),), "judge@1"))


def plain(record: Record) -> Any:
    """As it stands in a file."""
    return json.loads(msgspec.json.encode(record))


def write(folder: Path, *records: Record) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "records.jsonl"
    file.write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in records))
    return file


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "constitution.json").write_bytes(msgspec.json.encode(CONSTITUTION))
    write(tmp_path / "critique", CHAIN)
    write(tmp_path / "sft_data", IMITATED, HELPFUL)
    write(tmp_path / "pairs", PAIR)
    write(tmp_path / "feedback", LABELLED)
    write(tmp_path / "rl", Rollout("p0", "text", 1.0, {}, 1))
    return tmp_path


def test_a_chain_cites_its_clauses_once_in_the_documents_order(run: Path) -> None:
    found = trace(run, "p0/critique")
    assert found["stage"] == "critique"
    assert found["record"] == plain(CHAIN)
    assert found["made_from"] == []
    assert found["clauses"] == [
        {"id": id, "title": f"Title of {id}", "text": f"Text of {id}."} for id in ("calm", "lawful")
    ]
    assert found["constitution"] == CONSTITUTION.digest


def test_a_demonstration_leads_to_its_chain_and_on_to_the_clauses(run: Path) -> None:
    found = trace(run, "p0/critique#1")
    assert found["stage"] == "sft_data"
    assert found["made_from"] == [plain(CHAIN)]
    assert [clause["id"] for clause in found["clauses"]] == ["calm", "lawful"]


def test_a_helpful_answer_comes_from_no_clause(run: Path) -> None:
    found = trace(str(run), "p1/helpful")
    assert (found["made_from"], found["clauses"]) == ([], [])


def test_a_comparison_is_shown_with_its_label_and_the_clauses_that_judged(run: Path) -> None:
    found = trace(run, "p0/pair0")
    assert found["stage"] == "feedback"
    assert found["record"]["label"]["p_a"] == 0.9
    assert [clause["id"] for clause in found["clauses"]] == ["fair"]


def test_a_comparison_without_a_label_yet_is_found_too(run: Path) -> None:
    (run / "feedback" / "records.jsonl").unlink()
    assert trace(run, "p0/pair0")["stage"] == "pairs"


def test_stages_that_were_moved_aside_are_not_looked_at(run: Path) -> None:
    (run / "sft_data").rename(run / "sft_data.old-01234567")
    with pytest.raises(DataError, match="no record"):
        trace(run, "p1/helpful")


@pytest.mark.parametrize("id", ["p9/critique", "", "None", "p0"])
def test_an_id_that_no_record_has(run: Path, id: str) -> None:
    with pytest.raises(DataError) as caught:
        trace(run, id)
    assert caught.value.exit_code == 2
    assert repr(id) in str(caught.value)


def test_a_line_cut_short_by_a_kill_is_passed_over(run: Path) -> None:
    file = run / "critique" / "records.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + whole.replace(b"p0/critique", b"p7/critique")[:-40])
    assert trace(run, "p0/pair0")["stage"] == "feedback"
    with pytest.raises(DataError, match="no record"):
        trace(run, "p7/critique")


def test_a_folder_that_is_not_a_run(tmp_path: Path) -> None:
    write(tmp_path / "critique", CHAIN)
    with pytest.raises(DataError, match="not a run folder"):
        trace(tmp_path, "p0/critique")
    with pytest.raises(DataError, match="no record"):
        trace(tmp_path / "nowhere", "p0/critique")
