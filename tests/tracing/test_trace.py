"""`charter show`: from records, requests and messages back to clauses; from clauses to uses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from charter.cli.records import show
from charter.constitution.document import Categories, Category, Constitution, Principle
from charter.display_constitution import show_clause
from charter.errors import DataError, StoreError
from charter.records import (
    Abstention,
    Answer,
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
from charter.storage.index import StorageConfig
from charter.store import StageFolder
from charter.tracing.trace import trace


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
    assert (found["kind"], found["clauses_by"], found["judge"]) == ("record", "record", None)
    named = (found["name"], found["version"], found["constitution"])
    assert named == ("test", "1", CONSTITUTION.digest)


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
    assert found["judge"] == "judge@1"
    assert [clause["id"] for clause in found["clauses"]] == ["fair"]


def test_a_comparison_without_a_label_yet_is_found_too(run: Path) -> None:
    (run / "feedback" / "records.jsonl").unlink()
    assert trace(run, "p0/pair0")["stage"] == "pairs"


def test_stages_that_were_moved_aside_are_not_looked_at(run: Path) -> None:
    (run / "sft_data").rename(run / "sft_data.old-01234567")
    with pytest.raises(DataError, match="no record"):
        trace(run, "p1/helpful")


@pytest.mark.parametrize("id", ["p9/critique", "", "None", "p"])
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


def test_a_damaged_line_is_named(run: Path) -> None:
    (run / "critique" / "records.jsonl").write_text("nonsense\n")
    with pytest.raises(StoreError, match=r"critique/records\.jsonl:1: damaged"):
        trace(run, "p0/pair0")


def test_a_record_of_an_older_document_says_so(run: Path) -> None:
    older = replace(CHAIN, origin=replace(ORIGIN, constitution="0123"))
    write(run / "critique", older)
    [note] = trace(run, CHAIN.id)["notes"]
    assert note == f"made under constitution 0123; the run now holds {CONSTITUTION.digest}"


def test_a_clause_that_the_document_lost_is_named(run: Path) -> None:
    vote = PrincipleVote("gone", 0.9, 0.9)
    write(run / "feedback", replace(LABELLED, label=Verdict(PAIR.id, 0.9, (vote,), "judge@1")))
    found = trace(run, "p0/pair0")
    assert (found["clauses"], found["notes"]) == ([], ["clause 'gone' is not in this document"])


def test_an_answer_leads_to_the_clauses_of_its_category_and_the_judge_it_learned_from(
    run: Path,
) -> None:
    prompt = replace(PROMPT, category="crime")
    halves = Categories((Category("crime", "Crime", "c", ("lawful",)),))
    document = replace(CONSTITUTION, categories=halves)
    (run / "constitution.json").write_bytes(msgspec.json.encode(document))
    answers = [
        Answer(f"{model}/p0", model, prompt, "text", 1, {"compliance": 0.9, "refusal": 0.0}, ORIGIN)
        for model in ("base", "rl_cai")
    ]
    write(run / "evaluate", *answers)
    manifest = {"stage": "feedback", "key": "", "files": {}, "kept": 1, "dropped": {}}
    notes = {"statistics": {"judge": "judge@1"}, "principles": {}}
    text = json.dumps({**manifest, "seconds": 1.0, "notes": notes})
    (run / "feedback" / "manifest.json").write_text(text)
    found = trace(run, "rl_cai/p0")
    assert [clause["id"] for clause in found["clauses"]] == ["lawful"]
    assert (found["clauses_by"], found["judge"]) == ("category", "judge@1")
    assert trace(run, "base/p0")["judge"] is None
    rates = trace(run, "lawful")["violations"]
    assert rates["measured"] and (rates["before"], rates["after"]) == ("base", "rl_cai")
    assert [rates["models"][m]["rate"]["value"] for m in ("base", "rl_cai")] == [1.0, 1.0]
    assert trace(run, "calm")["violations"]["measured"] is False


REQUEST = {
    "request": "req-1",
    "state": "blocked",
    "clauses": ["lawful"],
    "classifier": "guard@1",
    "prompt": {"sha256": "2f0b3e0e", "chars": 3},
    "answers": [{"sha256": "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"}],
}
"""Its answer was `hello world`."""


def guarded(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "audit.jsonl").write_text(json.dumps(REQUEST) + "\n")
    return folder


def test_a_blocked_request_leads_to_its_clause_and_classifier(run: Path) -> None:
    guarded(run / "guard")
    found = trace(run, "req-1")
    assert (found["kind"], found["stage"], found["judge"]) == ("request", "guard", "guard@1")
    assert [clause["id"] for clause in found["clauses"]] == ["lawful"]
    assert (found["version"], found["notes"]) == ("1", [])
    assert trace(run, "lawful")["uses"]["guard"] == {
        "records": 1,
        "citations": 1,
        "ids": ["req-1"],
        "blocked": 1,
    }


def test_a_guards_own_folder_is_traced_to_a_document_that_is_named(tmp_path: Path) -> None:
    folder = guarded(tmp_path / "audit")
    found = trace(folder, "req-1")
    assert [clause["id"] for clause in found["clauses"]] == ["lawful"]
    assert "the shipped one" in found["notes"][0]
    file = tmp_path / "mine.json"
    file.write_bytes(msgspec.json.encode(replace(CONSTITUTION, version="7")))
    found = trace(folder, "req-1", constitution=str(file))
    assert (found["version"], found["notes"]) == ("7", [])


def test_a_message_is_found_by_its_words_wherever_it_stands(run: Path) -> None:
    guarded(run / "guard")
    found = trace(run, "r2")
    places = [(one["stage"], one["id"], one["where"]) for one in found["records"]]
    assert places == [
        ("critique", "p0/critique", "steps[1].revision"),
        ("sft_data", "p0/critique#1", "answer"),
    ]
    assert [clause["id"] for clause in found["clauses"]] == ["calm", "lawful"]
    [heard] = trace(run, "hello world")["records"]
    assert heard == {"stage": "guard", "id": "req-1", "where": "answers[0]"}


def test_a_prompts_id_gives_all_that_was_made_from_it(run: Path) -> None:
    found = trace(run, "p0")
    assert {one["id"] for one in found["records"]} == {
        "p0/critique",
        "p0/critique#1",
        "p1/helpful",
        "p0/pair0",
    }
    assert found["judges"] == ["judge@1"]
    assert [clause["id"] for clause in found["clauses"]] == ["calm", "lawful", "fair"]


def labelled(number: int, fair: float, calm: float, weight: float = 1.0) -> Labelled:
    votes = (PrincipleVote("fair", fair, fair), PrincipleVote("calm", calm, 0.4, weight))
    pair = replace(PAIR, id=f"p{number}/pair0", a="long" if number else "a")
    return Labelled(pair, Verdict(pair.id, fair, votes, "judge@1"))


def test_a_clause_leads_forward_to_uses_and_the_figures_of_its_votes(run: Path) -> None:
    abstained = Labelled(replace(PAIR, id="p9/pair0"), Abstention("p9/pair0", "off_menu", "j"))
    rows = [labelled(0, 0.9, 0.9), labelled(1, 0.2, 0.9, 0.0), labelled(2, 0.55, 0.3)]
    write(run / "feedback", *rows, abstained)
    found = trace(run, "calm")
    assert (found["kind"], found["clause"]["id"], found["clause"]["text"]) == (
        "clause",
        "calm",
        "Text of calm.",
    )
    uses = {stage: (use["records"], use["citations"]) for stage, use in found["uses"].items()}
    assert uses == {"critique": (1, 1), "feedback": (3, 3), "sft_data": (1, 0)}
    labels = found["labels"]
    # Means over the orders: 0.65, 0.65, 0.35; the verdicts are 0.9, 0.2, 0.55.
    assert (labels["n"], labels["gave_way"], labels["abstained_in_run"]) == (3, 1, 1)
    assert (labels["clear"]["value"], labels["clear"]["n"]) == (1.0, 3)
    assert (labels["with_verdict"]["value"], labels["with_verdict"]["n"]) == (1 / 3, 3)
    assert labels["position_consistency"]["value"] == pytest.approx(1 / 3)
    assert (labels["length_bias"]["value"], labels["length_bias"]["n"]) == (0.5, 2)
    assert found["violations"] == {"measured": False, "reason": "the run has no evaluation"}


def test_a_clause_says_what_it_goes_before(run: Path) -> None:
    calm, lawful, fair = CONSTITUTION.principles
    ranked = replace(CONSTITUTION, principles=(calm, replace(lawful, over=("fair",)), fair))
    (run / "constitution.json").write_bytes(msgspec.json.encode(ranked))
    assert trace(run, "lawful")["goes_before"] == ["fair"]
    assert trace(run, "fair")["gives_way_to"] == ["lawful"]


def test_the_command_shows_a_clause_for_people_and_a_record_as_json(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show_clause(trace(run, "fair"))
    shown = capsys.readouterr().out
    assert "fair: Title of fair (test 1, " in shown
    assert "uses: feedback: 1 records (p0/pair0)" in shown
    assert "violations: not measured: the run has no evaluation" in shown
    called = CliRunner().invoke(show, ["p0/pair0", "--run", str(run)])
    assert json.loads(called.output)["judge"] == "judge@1"
    asked = CliRunner().invoke(show, ["fair", "--run", str(run), "--json"])
    assert json.loads(asked.output)["kind"] == "clause"


def test_records_in_shards_are_found(run: Path) -> None:
    storage = StorageConfig(shard_mb=1e-5)  # every append becomes a shard
    log = StageFolder(run / "critique", "critique", "", storage).log(RevisionChain)
    log.append([replace(CHAIN, id="p7/critique")])
    assert log.path.read_bytes() == b""
    for id in ("p0/critique", "p7/critique"):
        assert [c["id"] for c in trace(run, id)["clauses"]] == ["calm", "lawful"]
