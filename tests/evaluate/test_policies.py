from __future__ import annotations

import json
from pathlib import Path

import pytest

from charter.errors import InputError
from charter.evaluate.policies import policy
from charter.records import Checkpoint
from charter.store import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    folder = RunFolder(path)
    (path / "recipe.json").write_text(json.dumps({"model": "embedded"}))
    for stage, adapters in (("sft", ["gone/sft/checkpoint"]), ("rl", ["gone/sft/checkpoint", "x"])):
        made = folder.stage(stage, "x")
        (made.path / "checkpoint").mkdir()
        checkpoint = {"base": "embedded", "adapters": adapters, "digest": "d"}
        made.finish(1.0, {"checkpoint": checkpoint, "reward": "preference@9"})
    notes = {"statistics": {"judge": "judge@1"}, "judge": {"identities": ["judge@1", "panel@2"]}}
    folder.stage("feedback", "x").finish(1.0, notes)
    return path


def test_names_and_models_of_a_run_are_told_apart(run: Path) -> None:
    assert policy("embedded").checkpoint == Checkpoint("embedded")
    assert policy(f"{run}:base").checkpoint == Checkpoint("embedded")
    moved = str(run / "sft" / "checkpoint")
    assert policy(f"{run}:sl_cai").checkpoint == Checkpoint("embedded", (moved,), "d")
    assert policy(f"{run}:rl_cai").checkpoint.adapters == (moved, "x")


def test_who_labelled_and_rewarded_goes_with_the_model(run: Path) -> None:
    assert policy(f"{run}:rl_cai").used == ("judge@1", "panel@2", "preference@9")
    assert policy(f"{run}:base").used == policy("embedded").used == ()


def test_an_adapter_names_its_base(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "some/model"}')
    assert policy(str(tmp_path)).checkpoint == Checkpoint("some/model", (str(tmp_path),))
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match="does not name its base"):
        policy(str(tmp_path))


def test_what_holds_no_model_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no run folder"):
        policy(f"{tmp_path}:rl_cai")
    with pytest.raises(InputError, match="is no model's folder"):
        policy(str(tmp_path))
    (run / "rl" / "manifest.json").unlink()
    with pytest.raises(InputError, match="no finished rl_cai"):
        policy(f"{run}:rl_cai")


def test_a_remote_name_is_left_alone() -> None:
    name = "openai:some-model@http://127.0.0.1:1/v1"
    assert policy(name).checkpoint == Checkpoint(name)
