from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from charter.errors import ModelError
from charter.evaluate import harness
from charter.records import Checkpoint

RESULTS = {
    "results": {
        "piqa": {"alias": "piqa", "acc,none": 0.6, "acc_stderr,none": 0.05, "words,none": 3},
        "odd": {"acc,none": 0.5, "acc_stderr,none": "N/A"},
    },
    "n-samples": {"piqa": {"original": 1838, "effective": 100}},
}


def test_figures_with_a_standard_error_get_an_interval() -> None:
    (found,) = harness.read_results(RESULTS, "m")
    assert (found.metric, found.value, found.n) == ("lm_eval:piqa/acc", 0.6, 100)
    assert found.low == pytest.approx(0.6 - 1.96 * 0.05, abs=1e-5)


def test_a_checkpoint_is_named_as_the_harness_wants_it() -> None:
    arguments = harness.model_arguments(Checkpoint("some/model", ("adapter",)))
    assert arguments == "pretrained=some/model,peft=adapter,dtype=float32"


def test_it_runs_as_a_program_and_its_failure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        target = Path(command[command.index("--output_path") + 1]) / "m"
        target.mkdir()
        (target / "results_1.json").write_text('{"results": {"t": {"a,b": 1, "a_stderr,b": 0}}}')
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(harness.subprocess, "run", run)
    (found,) = harness.run_task("t", "m", Checkpoint("x"), limit=5)
    assert found.metric == "lm_eval:t/a"
    assert asked[0][:3] == [sys.executable, "-m", "lm_eval"] and "--limit" in asked[0]

    def fail(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "no such task")

    monkeypatch.setattr(harness.subprocess, "run", fail)
    with pytest.raises(ModelError, match="no such task"):
        harness.run_task("t", "m", Checkpoint("x"))
