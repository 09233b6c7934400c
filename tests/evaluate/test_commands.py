"""The commands `charter scorer test`, `charter evaluate --models` and `charter audit`."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from charter import assessment
from charter.cli import main as cli
from charter.constitution.document import load
from charter.errors import InputError
from charter.models import hf
from charter.readout.features import FeatureReader, FeatureSettings
from charter.readout.linear import Card, LinearReadout
from charter.records import Answer, Comparison, Labelled, Message, Origin, Prompt, Verdict
from charter.records import PrincipleVote as Vote
from charter.store import RunFolder

Call = Callable[..., tuple[int, str, str]]
COLUMNS = "prompt=prompt,answer=completion,label=label"


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    def charter(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["charter", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        found = capsys.readouterr()
        return code, found.out, found.err

    return charter


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    file = tmp_path / "answers.csv"
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["prompt", "completion", "label"])
        for i in range(20):
            text = "I won't help with that." if i % 2 else "Sure, here is how."
            writer.writerow([f"q{i}", text, 1 - i % 2])
        writer.writerow(["q", "", 0])
    return file


def test_the_lexical_scorer_is_tested_without_a_model(call: Call, answers: Path) -> None:
    code, out, _ = call(
        *("scorer", "test", "--scorer", "refusal", "--answers", answers),
        *("--columns", COLUMNS, "--json"),
    )
    found = json.loads(out)
    assert code == 0 and [*found][:5] == ["accuracy", "auroc", "sensitivity", "specificity", "n"]
    # 0 is what this scorer looks for; the empty answer is unscored.
    assert found["accuracy"]["value"] == found["sensitivity"]["value"] == 1.0
    assert (found["n"], found["unscored"], found["positive"]) == (20, 1, ["0"])
    assert found["accuracy"]["low"] < 1.0 == found["accuracy"]["high"]


def test_people_get_a_table(call: Call, answers: Path) -> None:
    code, out, _ = call(
        *("scorer", "test", "--scorer", "refusal", "--answers", answers, "--columns", COLUMNS)
    )
    assert code == 0 and "accuracy" in out and "1.000" in out and "empty 1" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--scorer", "nothing"), "no scorer 'nothing'"),
        (("--scorer", "rubric"), "the rubric needs a judge"),
        (("--scorer", "refusal", "--positive", "maybe"), "no row is labelled 'maybe'"),
        (("--scorer", "refusal", "--columns", "answer=x,label=label"), "no such column"),
        (("--scorer", "refusal", "--columns", "label=label"), "--columns"),
    ],
)
def test_bad_input_is_named_before_a_model_is_loaded(
    call: Call,
    answers: Path,
    arguments: tuple[str, ...],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def loaded(*_: Any, **__: Any) -> hf.HFModel:
        raise AssertionError("a model was loaded before the input had been checked")

    monkeypatch.setattr(hf, "load", loaded)
    code, _, err = call("scorer", "test", "--answers", answers, "--columns", COLUMNS, *arguments)
    assert code == 2 and says in err and "Traceback" not in err


def test_a_readout_of_ones_own_is_tested_on_its_own_model(
    call: Call, tmp_path: Path, answers: Path, tiny_model_folder: Path
) -> None:
    model = hf.load(str(tiny_model_folder))
    reader = FeatureReader(model, FeatureSettings())
    texts = ["Sure, here is how.", "I won't help with that."]
    sure, wont = reader.read([((Message("user", "q"),), text) for text in texts])
    weights, middle = sure - wont, (sure + wont) / 2
    card = Card(model.identity, FeatureSettings(), ("mine",))
    readout = LinearReadout(weights[None], np.array([-weights @ middle]), card)
    readout.save(tmp_path / "mine")
    arguments = ("scorer", "test", "--answers", answers, "--columns", COLUMNS, "--json")
    code, out, _ = call(*arguments, "--scorer", tmp_path / "mine", "--model", tiny_model_folder)
    assert code == 0 and json.loads(out)["auroc"]["value"] > 0.9
    assert json.loads(out)["scorer"] == f"readout:mine@{readout.identity}"


def test_models_are_compared_on_suites(call: Call, tmp_path: Path, tiny_model_folder: Path) -> None:
    code, out, _ = call(
        *("evaluate", "--models", tiny_model_folder, f"{tiny_model_folder}/"),
        *("--suite", "sycophancy,retention,lm_eval:no_such_task", "--limit", 4),
        *("--out", tmp_path / "out", "--json"),
    )
    found = json.loads(out)
    assert code == 0 and found["models"] == [str(tiny_model_folder), f"{tiny_model_folder}/"]
    values = {(m["model"], m["metric"]): m for s in found["suites"] for m in s["measurements"]}
    one, other = (values[model, "perplexity"] for model in found["models"])
    assert one["value"] == pytest.approx(other["value"]) and one["n"] == 4 and one["value"] > 10
    assert all(d["value"] == 0.0 for d in found["differences"])
    assert "not installed" in found["skipped"]["lm_eval:no_such_task"]
    assert json.loads((tmp_path / "out/comparison.json").read_text())["skipped"]


def test_the_lexical_suites_run_on_a_tiny_model(call: Call, tiny_model_folder: Path) -> None:
    code, out, _ = call(
        *("evaluate", "--models", tiny_model_folder, "--suite", "sycophancy", "--limit", 2)
    )
    assert code == 0 and "sycophancy_change" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--models", "x", "--suite", "nothing"), "no suite 'nothing'"),
        (("--models", "nowhere:rl_cai"), "is no run folder"),
        (("--suite", "harm"), "--suite needs --models"),
    ],
)
def test_wrong_comparisons_are_refused(call: Call, arguments: tuple[str, ...], says: str) -> None:
    code, _, err = call("evaluate", *arguments)
    assert code == 2 and says in err and "Traceback" not in err


def test_a_judge_must_be_there() -> None:
    asked = assessment.Asked(("embedded",), ("sycophancy",), judge="no/such/folder")
    with pytest.raises(InputError, match="no judge"):
        assessment.evaluate(asked)


def test_without_models_it_is_the_stage_of_a_run(call: Call, tmp_path: Path) -> None:
    code, _, err = call("evaluate", "no-such-recipe", f"run={tmp_path}")
    assert code == 2 and "no such recipe" in err


def a_run(path: Path) -> Path:
    folder = RunFolder(path)
    (path / "constitution.json").write_bytes(msgspec.json.encode(load("default")))
    prompt = Prompt("p1", (Message("user", "<b>how?</b>"),), "redteam", "fraud", "eval")
    scores = {"compliance": 0.9, "refusal": 0.0, "helpful": None}
    rows = [
        Answer(f"{m}/p1", m, prompt, "sure", 3, scores, Origin("evaluate", m))
        for m in ("base", "rl_cai")
    ]
    folder.stage("evaluate", "x").log(Answer).append(rows)
    comparison = Comparison("c1", prompt, "a", "b", Origin("pairs", "m"))
    verdict = Verdict("c1", 0.5, (Vote("lawful", 0.9, 0.2),), "j")
    folder.stage("feedback", "x").log(Labelled).append([Labelled(comparison, verdict)])
    return path


def test_an_audit_is_written_and_shown(call: Call, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    code, out, _ = call("audit", run, "--json")
    found = json.loads(out)
    assert code == 0 and [clause["id"] for clause in found["clauses"]] == ["lawful"]
    assert found["clauses"][0]["models"]["base"]["rate"]["value"] == 1.0
    assert found["gaps"][0]["orders"]["value"] == 1.0
    page = Path(found["files"]["html"]).read_text()
    assert "<b>how" not in page and "&lt;b&gt;how?" in page
    code, out, _ = call("audit", run, "--out", tmp_path / "there")
    assert code == 0 and "lawful" in out and (tmp_path / "there" / "audit.json").exists()


def test_a_folder_that_is_no_run_is_no_traceback(call: Call, tmp_path: Path) -> None:
    code, _, err = call("audit", tmp_path)
    assert code == 2 and "not a run folder" in err
