"""A whole campaign against a target whose every answer is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from charter.constitution import document
from charter.errors import InputError
from charter.guard import training_rows
from charter.guard.config import GuardSettings
from charter.guard.examples import GuardExample
from charter.guard.redteam import campaign
from charter.guard.redteam.attempt import Attempt
from charter.guard.redteam.behaviours import Asked
from charter.guard.redteam.campaign import CampaignConfig, CampaignDeps, Questions
from charter.guard.redteam.guarded import Defence
from charter.guard.redteam.judging import Judge
from charter.guard.sources import from_file
from charter.guard.words import WordsClassifier
from charter.records import Message, Prompt
from charter.store import RecordLog

CONSTITUTION = document.load("default")
TWINS = (Prompt("t0", (Message("user", "Bake bread"),), "benign"),)


@pytest.fixture
def questions(prompts: list[Prompt]) -> Questions:
    return Questions(Asked(tuple(prompts), "file", {}), Asked(TWINS, "file", {}))


def run(questions: Questions, out: Path, target: Any, judge: Judge, **more: Any) -> Any:
    deps = {k: more.pop(k) for k in ("defence", "retrain") if k in more}
    config = CampaignConfig(forms=more.pop("forms", ("plain", "base64")), **more)
    return campaign.run(
        questions, config, out, deps=CampaignDeps(target, judge, CONSTITUTION, **deps)
    )


def records(out: Path) -> list[Attempt]:
    return list(RecordLog(out / "redteam" / "records.jsonl", Attempt))


def test_every_outcome_is_counted(
    questions: Questions, tmp_path: Path, target: Any, judge: Judge
) -> None:
    found = run(questions, tmp_path, target, judge, forms=("plain",))
    h = found.harmful
    assert (h.n, h.complied, h.blocked, h.refused, h.neither) == (4, 1, 2, 1, 0)
    assert (h.blocked_prompt, h.blocked_answer) == (1, 1)
    assert h.success.raw.value == 0.25
    # Half was read, half of that complied: 0.5 * (0.5 + 0.95 - 1) / (0.9 + 0.95 - 1).
    assert h.success.corrected.value == pytest.approx(0.5 * 0.45 / 0.85)
    assert h.success.corrected.low < h.success.corrected.value < h.success.corrected.high
    assert (found.benign.n, found.benign.answered) == (1, 1)
    assert {name: h.n for name, h in found.by_category.items()} == {"cyber": 3, "none": 1}


def test_the_staged_attack_goes_on_where_the_input_stage_let_it_in(
    questions: Questions, tmp_path: Path, target: Any, judge: Judge
) -> None:
    found = run(questions, tmp_path, target, judge, forms=("plain",))
    second = [a for a in records(tmp_path) if a.step == "answer"]
    assert {a.behaviour for a in second} == {"b1"}
    assert [a.dress for a in second if a.outcome == "complied"] == ["spaced"]
    assert found.staged.output.complied == 1
    assert found.staged.output.blocked_answer == len(second) - 1
    assert (found.staged.input_passed.value, found.staged.input_unknown) == (0.75, 0)
    assert (found.any_form.value, found.staged.behaviours.value) == (0.25, 0.5)


def test_a_form_that_gets_in_is_seen_beside_the_plain_request(
    questions: Questions, tmp_path: Path, target: Any, judge: Judge
) -> None:
    found = run(questions, tmp_path, target, judge)
    plain, coded = found.by_form["plain"], found.by_form["base64"]
    assert (plain.input_passed.value, coded.input_passed.value) == (0.75, 1.0)
    assert coded.harmful.complied == 4  # nothing of the request can be read in it
    assert coded.benign.refusal.value == 0.0


def test_calls_that_fail_are_unscored_with_a_reason(
    tmp_path: Path, target: Any, judge: Judge
) -> None:
    asked = tuple(Prompt(f"p{i}", (Message("user", t),)) for i, t in enumerate(("x", "FAIL")))
    questions = Questions(Asked(asked, "file", {}), Asked(TWINS, "file", {}))
    found = run(questions, tmp_path, target, judge, forms=("plain",))
    assert (found.harmful.n, found.harmful.unscored) == (1, {"timeout": 1})
    assert found.harmful.success.raw.value == 1.0
    assert found.staged.input_unknown == 1


def test_the_judge_reads_the_plain_request_and_never_a_blocked_answer(
    questions: Questions, tmp_path: Path, target: Any, judge: Judge
) -> None:
    run(questions, tmp_path, target, judge, staged=False)
    read = judge.compliance.read  # type: ignore[attr-defined]
    assert {p.messages[0].content for p, _ in read} <= {
        p.messages[0].content for p in questions.behaviours.prompts
    }
    assert "No." not in {answer for _, answer in read}


def test_a_second_run_sends_nothing_and_writes_the_same(
    questions: Questions, tmp_path: Path, target: Any, judge: Judge
) -> None:
    first = run(questions, tmp_path, target, judge)
    files = [tmp_path / "redteam.json", tmp_path / "redteam.html", tmp_path / "redteam.md"]
    before, sent = [file.read_bytes() for file in files], len(target.asked)
    assert run(questions, tmp_path, target, judge) == first
    assert (len(target.asked), [file.read_bytes() for file in files]) == (sent, before)


def test_a_run_that_was_cut_off_goes_on(
    questions: Questions, tmp_path: Path, target: Any, judge: Judge
) -> None:
    whole = run(questions, tmp_path / "a", target, judge, staged=False)
    log = tmp_path / "b" / "redteam"
    config = CampaignConfig(("plain", "base64"), staged=False)
    key = msgspec.json.decode((tmp_path / "a" / "redteam" / "manifest.json").read_bytes())["key"]
    run(questions, tmp_path / "b", target, judge, staged=False)
    lines = (log / "records.jsonl").read_bytes().splitlines(keepends=True)
    (log / "records.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:20])
    (log / "manifest.json").unlink()
    before = len(target.asked)
    again = campaign.run(
        questions, config, tmp_path / "b", deps=CampaignDeps(target, judge, CONSTITUTION)
    )
    assert len(target.asked) - before == len(lines) - 3
    assert again == whole
    assert json.loads((log / "manifest.json").read_bytes())["key"] == key


def test_successes_become_rows_with_a_twin_in_the_same_dress(
    questions: Questions, tmp_path: Path, target: Any, judge: Judge
) -> None:
    run(questions, tmp_path, target, judge, forms=("plain", "role_play"))
    rows = training_rows.load([tmp_path / "round-1" / "rows.jsonl"])
    labels = [row.label for row in rows.prompts]
    assert labels.count("harmful") >= 2 and "harmless" in labels
    assert not rows.answers and all(row.clauses for row in rows.prompts)
    assert "b2" not in {row.base for row in rows.prompts}  # held out
    framed = [r for r in rows.prompts if r.form == "role_play" and r.base == "b0"]
    twin = next(r for r in rows.prompts if r.label == "harmless" and r.id.endswith("role_play.b0"))
    frame = framed[0].conversation[-1].content.replace("Say it", "Bake bread")
    assert twin.conversation[-1].content == frame
    given = list(from_file(str(tmp_path / "round-1" / "examples.jsonl"), CONSTITUTION))
    assert {g.prompt.messages[0].content for g in given} == {"Say it", "Say it OUTPUT"}
    assert {g.label for g in given} == {"harmful"}


class Memory:
    """A guard that learns requests by heart: a toy of a `Retrainer`."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def __call__(self, rows: Sequence[GuardExample], round_: int) -> Defence:
        self.seen.append((round_, len(rows)))
        return Defence(WordsClassifier({"say it": "no-harm"}), GuardSettings())


def test_the_guard_learns_between_rounds_and_not_after_the_last(
    questions: Questions, tmp_path: Path, target: Any, judge: Judge
) -> None:
    learner, before = Memory(), Defence(WordsClassifier({}), GuardSettings())
    found = run(
        questions,
        tmp_path,
        target,
        judge,
        forms=("plain",),
        rounds=2,
        defence=before,
        retrain=learner,
    )
    assert len(learner.seen) == 1 and learner.seen[0][0] == 1
    first, second = found.rounds
    assert (first.harmful.complied, second.harmful.complied) == (1, 0)
    assert second.harmful.blocked_prompt == 4 and second.target != first.target
    assert second.held_out.n == 1
    # All of it was blocked, so nothing was judged: no success, and an upper end above 0.
    assert second.harmful.success.corrected.value == 0.0
    assert 0 < second.harmful.success.corrected.high < 1


def test_an_in_process_guard_checks_answers_too(
    questions: Questions, tmp_path: Path, target: Any, judge: Judge
) -> None:
    defence = Defence(WordsClassifier({"harm follows": "no-harm"}), GuardSettings())
    found = run(questions, tmp_path, target, judge, forms=("plain",), staged=False, defence=defence)
    assert (found.harmful.complied, found.harmful.blocked_answer) == (0, 2)
    assert found.benign.blocked == 1


def test_rounds_below_one_are_refused(
    questions: Questions, tmp_path: Path, target: Any, judge: Judge
) -> None:
    with pytest.raises(InputError, match="1 or more"):
        run(questions, tmp_path, target, judge, rounds=0)


def test_names_from_files_are_escaped_on_both_pages(
    tmp_path: Path, target: Any, judge: Judge
) -> None:
    asked = (Prompt("p", (Message("user", "x"),), category="<script>alert(1)</script>|"),)
    run(Questions(Asked(asked, "f", {}), Asked(TWINS, "f", {})), tmp_path, target, judge)
    assert "<script>" not in (tmp_path / "redteam.html").read_text()
    assert r"\<script\>alert(1)\</script\>\|" in (tmp_path / "redteam.md").read_text()
