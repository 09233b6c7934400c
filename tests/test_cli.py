"""The command: exit codes, one-line messages, and wrong input found before any work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from charter.cli import main as cli
from charter.models import hf

PROGRAM = "charter"
SRC = Path(cli.__file__).parents[2]


@dataclass(frozen=True)
class Outcome:
    """What a call of the command came to."""

    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """The only line on standard error."""
        [line] = self.err.splitlines()
        return line


Call = Callable[..., Outcome]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    def charter(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", [PROGRAM, *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        found = capsys.readouterr()
        return Outcome(code, found.out, found.err)

    return charter


@pytest.fixture
def no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: Any, **__: Any) -> hf.HFModel:
        raise AssertionError("a model was loaded before the input had been checked")

    monkeypatch.setattr(hf, "load", load)


def test_help_answers_without_torch_or_transformers() -> None:
    program = (
        "import sys; sys.argv = ['charter', '--help']\n"
        "from charter.cli.main import main\n"
        "main()\n"
        "heavy = {'torch', 'transformers', 'peft', 'trl', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SRC)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    for command in ("run", "critique", "label", "evaluate", "constitution", "models", "show"):
        assert command in done.stdout


def test_a_word_that_is_no_command_is_bad_usage(call: Call) -> None:
    found = call("runn")
    assert found.code == 2
    assert "No such command 'runn'" in found.err


BAD_CONSTITUTION = """\
format: charter/constitution/1
name: mine
version: 1.0.0
principles:
  - id: Bad Id
    title: t
    text: t
    critique_request: c
    revision_request: r
    comparison_question: q
"""


@pytest.mark.usefixtures("no_models")
def test_a_bad_constitution_names_file_and_line(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(BAD_CONSTITUTION)
    run = tmp_path / "run"
    for arguments in (
        ["constitution", "show", file],
        ["run", "smoke", f"constitution={file}", f"run={run}"],
    ):
        found = call(*arguments)
        assert found.code == 2
        assert found.message.startswith(f"charter: {file}:5: field 'principles[0].id'")
        assert found.out == ""
    assert not run.exists()


@pytest.mark.usefixtures("no_models")
@pytest.mark.parametrize("command", ["run", "critique", "evaluate"])
def test_an_unknown_recipe_key(call: Call, tmp_path: Path, command: str) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("format: charter/recipe/1\nname: x\ncritique:\n  roundz: 2\n")
    found = call(command, file)
    assert found.code == 2
    assert found.message == (
        f"charter: {file}:4: field 'critique.roundz': unknown key (expected 'rounds'?)"
    )


@pytest.mark.usefixtures("no_models")
def test_an_unknown_override_and_an_unknown_recipe(call: Call) -> None:
    found = call("run", "sead=3")
    assert found.code == 2 and "'sead'" in found.message and "'seed'?" in found.message
    found = call("run", "nowhere.yaml")
    assert found.code == 2 and "no such recipe" in found.message


@pytest.mark.usefixtures("no_models")
@pytest.mark.parametrize("flags", [[], ["--dry-run"]])
def test_an_empty_prompt_file(call: Call, tmp_path: Path, flags: list[str]) -> None:
    file, run = tmp_path / "redteam.jsonl", tmp_path / "run"
    file.write_text("")
    found = call("run", "smoke", f"prompts={file}", f"run={run}", *flags)
    assert found.code == 2
    assert found.message.startswith(f"charter: {file}: no prompts in it")
    assert not run.exists()


@pytest.mark.usefixtures("no_models")
def test_a_prompt_line_that_is_not_json(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "redteam.jsonl"
    file.write_text('{"prompt": "how do I do this?"}\n\n{"prompt": \n')
    found = call("run", "smoke", f"prompts={file}", f"run={tmp_path / 'run'}")
    assert found.code == 2
    assert found.message.startswith(f"charter: {file}:3: not JSON: ")


@pytest.mark.usefixtures("no_models")
def test_a_prompt_file_that_is_not_there(call: Call, tmp_path: Path) -> None:
    found = call("run", "smoke", f"prompts={tmp_path / 'none.jsonl'}", "--json")
    assert found.code == 2
    assert "no such file" in found.message


def test_a_dry_run_says_that_it_cannot_tell_the_size_of_a_missing_model(
    call: Call, tmp_path: Path
) -> None:
    settings = ["critique.critic=few-shot", "feedback.judge=multiple-choice", "--dry-run"]
    found = call("run", "smoke", f"model={tmp_path / 'no-model'}", *settings)
    assert found.code == 2
    assert found.message.startswith("charter: field 'plan.shape': model ")
    assert found.out == ""


@pytest.mark.parametrize("flags", [["--json"], []], ids=lambda f: "".join(f))
def test_a_missing_model_fails_in_one_line(call: Call, tmp_path: Path, flags: list[str]) -> None:
    name = str(tmp_path / "no-model")
    settings = ["critique.critic=few-shot", "feedback.judge=multiple-choice"]
    found = call("run", "smoke", f"model={name}", f"run={tmp_path / 'run'}", *settings, *flags)
    assert found.code == 1
    assert "Traceback" not in found.err
    assert found.message.startswith(f"charter: loading model {name!r} failed: ")
    assert found.out == ""


def test_the_constitution_is_shown_as_one_json_object(call: Call) -> None:
    found = call("constitution", "show", "--json")
    document = json.loads(found.out)
    assert (found.code, found.err) == (0, "")
    assert document["format"] == "charter/constitution/1"
    assert len(document["digest"]) == 16
    assert all(p["id"] and p["comparison_question"] for p in document["principles"])


def test_the_constitution_is_shown_as_a_table(call: Call) -> None:
    found = call("constitution", "show")
    digest = json.loads(call("constitution", "show", "--json").out)["digest"]
    assert found.code == 0
    assert "no-harm" in found.out and digest in found.out


def test_models_are_listed_with_the_embedded_one_first(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARTER_CACHE", str(tmp_path))
    found = call("models", "list", "--json")
    [first, *_] = json.loads(found.out)
    assert found.code == 0
    assert set(first) == {"name", "state", "where"}
    assert first["name"] == "embedded"
    # Nothing lies in the cache: it is either still to be converted, or not installed at all.
    assert first["state"] != "ready" and first["where"]


def test_what_a_run_folder_does_not_hold(call: Call, tmp_path: Path) -> None:
    found = call("show", "no/such/record", "--run", tmp_path)
    assert found.code == 2
    assert "no record 'no/such/record'" in found.message
    found = call("report", tmp_path / "nowhere")
    assert found.code == 2 and "does not exist" in found.err
