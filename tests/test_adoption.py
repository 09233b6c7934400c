"""A whole run relabelled after an edit of its constitution, on a tiny network, by the command."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from charter.adoption import adopt, require
from charter.cli import main as cli
from charter.errors import DataError
from charter.judging import making
from charter.judging.multiple_choice import MultipleChoiceJudge
from charter.records import Abstention, Comparison, Labelled
from charter.store import RunFolder
from charter.tracing.trace import trace

RECIPE = """\
format: charter/recipe/1
name: tiny
prompts: {critique_redteam: 2, sft_benign: 2, sft_borderline: 1, pairs_redteam: 4,
          pairs_benign: 2, eval_redteam: 2, eval_benign: 2, eval_borderline: 2}
critique: {critic: few-shot, shots: 1, rounds: 1, draft: {max_tokens: 12},
           critique: {max_tokens: 12}, revision: {max_tokens: 12}}
sft: {helpful: {max_tokens: 12}, train: {batch_size: 4, lora_rank: 2, learning_rate: 0.001}}
judges: {willing: {kind: multiple-choice, min_mass: 0.0}}
feedback: {judge: willing, principles: all, answer: {max_tokens: 16, temperature: 0.7}}
preference: {train: {batch_size: 4, lora_rank: 2, learning_rate: 0.001}}
"""
CONSTITUTION = """\
format: charter/constitution/1
name: mine
version: "1"
principles:
"""
PRINCIPLE = """\
  - {{id: {0}, title: t, text: t, critique_request: c, revision_request: r,
      comparison_question: "{1}", tags: [harm, helpful]}}
"""


def document(path: Path, **questions: str) -> Path:
    clauses = "".join(PRINCIPLE.format(id, text) for id, text in questions.items())
    path.write_text(CONSTITUTION + clauses)
    return path


class Counting(MultipleChoiceJudge):
    """The real judge on a random network, made to answer; counts readings by question."""

    readings: Counter[str] = Counter()

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        self.readings.update(self.questions[id] for ids in principles for id in ids)
        return super().vote(comparisons, principles)


@pytest.fixture(scope="module", autouse=True)
def _judge() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "MultipleChoiceJudge", Counting)
        yield


@pytest.fixture(scope="module")
def whole(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe, a constitution, and a run that was labelled with them."""
    folder = tmp_path_factory.mktemp("relabel")
    (folder / "recipe.yaml").write_text(RECIPE + f"model: {tiny_model_folder}\n")
    document(folder / "one.yaml", calm="Calmer?", fair="Fairer?", frank="Franker?")
    document(folder / "two.yaml", calm="Calmer?", fair="Much fairer?", frank="Franker?")
    arguments = [folder / "recipe.yaml", f"constitution={folder / 'one.yaml'}"]
    with pytest.MonkeyPatch.context() as patch:
        argv = ["charter", "label", *arguments, f"run={folder / 'first'}", "--json"]
        patch.setattr(sys, "argv", [*map(str, argv)])
        cli.main()
    return folder


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """`charter COMMAND` with the edited constitution."""

    def charter(command: str, *arguments: object) -> tuple[int, str, str]:
        given = [whole / "recipe.yaml", f"constitution={whole / 'two.yaml'}", *arguments]
        monkeypatch.setattr(sys, "argv", ["charter", command, *map(str, given)])
        Counting.readings.clear()
        capsys.readouterr()
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        return (code, *capsys.readouterr())

    return charter


def votes(run: Path, principle: str) -> list[bytes]:
    """The encoded votes under one principle, in order."""
    lines = (run / "feedback" / "records.jsonl").read_bytes().splitlines()
    found = [msgspec.json.decode(line, type=Labelled).label for line in lines]
    return [
        msgspec.json.encode(vote)
        for label in found
        for vote in getattr(label, "votes", ())
        if vote.principle == principle
    ]


def test_an_edit_is_relabelled_into_another_run(whole: Path, call: Call, tmp_path: Path) -> None:
    first, run = whole / "first", tmp_path / "second"
    code, out, err = call("label", f"run={run}", "--relabel-from", first, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)["relabel"]
    pairs = len((first / "pairs" / "records.jsonl").read_bytes().splitlines())
    assert Counting.readings == {"Much fairer?": 2 * pairs}
    assert (found["kept"], found["asked"], found["dropped"]) == (2 * pairs, pairs, 0)
    assert found["flipped"]["n"] == pairs
    for id in ("calm", "frank"):
        assert votes(run, id) == votes(first, id)
    assert votes(run, "fair") != votes(first, "fair")
    assert not (run / "critique").exists()
    assert (run / "report.html").exists()
    line = (run / "pairs" / "records.jsonl").read_bytes().splitlines()[0]
    shown = trace(run, msgspec.json.decode(line)["id"])
    assert [clause["id"] for clause in shown["clauses"]] == ["calm", "fair", "frank"]
    # The same command again finds everything done.
    code, out, _ = call("label", f"run={run}", "--relabel-from", first)
    assert code == 0 and Counting.readings == {}
    assert f"votes: {2 * pairs} kept, {pairs} asked (changed {pairs}), 0 dropped" in out
    # And the loop goes on from there.
    code, _, err = call("preference", f"run={run}", "--relabel-from", first, "--json")
    assert code == 0 and (run / "preference" / "manifest.json").exists(), err
    assert not (run / "critique").exists() and Counting.readings == {}


def test_a_run_is_relabelled_in_place_and_keeps_the_old_labels(
    whole: Path, call: Call, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole / "first", run)
    code, _, err = call("label", f"run={run}", "--relabel-from", run, "--json")
    assert code == 0, err
    assert set(Counting.readings) == {"Much fairer?"}
    [aside] = run.glob("feedback.old-*")
    before = (whole / "first" / "feedback" / "records.jsonl").read_bytes()
    assert (aside / "records.jsonl").read_bytes() == before
    assert votes(run, "calm") == votes(whole / "first", "calm")
    assert {p.name for p in run.glob("*.old-*")} == {aside.name}


def test_another_judge_is_refused_before_anything_is_moved(
    whole: Path, call: Call, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole / "first", run)
    model = tmp_path / "other"
    shutil.copytree(json.loads((run / "recipe.json").read_text())["model"], model)
    code, _, err = call("label", f"run={run}", "--relabel-from", run, f"feedback.model={model}")
    assert code == 2
    assert "labels are by judge" in err and "the same feedback.judge" in err
    assert not list(run.glob("*.old-*"))


def test_other_pairs_of_the_runs_own_are_refused(whole: Path, call: Call, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole / "first" / "pairs", run / "pairs")
    file = run / "pairs" / "records.jsonl"
    first, *rest = file.read_bytes().splitlines(keepends=True)
    changed = msgspec.json.decode(first, type=Comparison).swap()
    file.write_bytes(b"".join([msgspec.json.encode(changed) + b"\n", *rest]))
    code, _, err = call("label", f"run={run}", "--relabel-from", whole / "first")
    assert code == 2 and "has other texts there" in err


def test_a_folder_that_is_no_run_is_refused(call: Call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = call("label", f"run={tmp_path / 'run'}", "--relabel-from", tmp_path / "empty")
    assert code == 2 and "not a run folder" in err
    code, _, err = call("label", f"run={tmp_path / 'run'}", "--relabel-from", tmp_path / "none")
    assert code == 2 and "does not exist" in err


def test_a_stage_that_is_missing_in_the_other_run_is_named(whole: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    with pytest.raises(DataError, match="a finished stage 'rl'"):
        adopt(whole / "first", run, ("rl",), ("rl",))
    found = adopt(whole / "first", run, ("critique", "rl", "pairs"), ("pairs",))
    assert set(found) == {"critique", "pairs"}
    require(("pairs",), found, whole)
    with pytest.raises(DataError, match="a run with a finished stage 'sft'"):
        require(("sft",), found, whole)


def test_a_copy_that_was_cut_short_is_made_again(whole: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    adopt(whole / "first", run, (), ("pairs",))
    (run.path / "pairs" / "manifest.json").unlink()
    (run.path / "pairs" / "records.jsonl").write_text("half")
    found = adopt(whole / "first", run, (), ("pairs",))
    theirs = RunFolder(whole / "first").manifests()["pairs"]
    assert found == {"pairs": theirs}
    copied = (run.path / "pairs" / "records.jsonl").read_bytes()
    assert copied == (whole / "first" / "pairs" / "records.jsonl").read_bytes()
