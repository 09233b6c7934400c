"""One process leads and the others train with it: the telling, and a whole run of two processes."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from charter import pipeline
from charter.training import crew, processes

ROOT = Path(__file__).parents[2]
TRAINED = ("sft", "preference", "rl")


def silent(*_: Any) -> None:
    pass


class Radio:
    """What the first process says, heard by a process that the test plays afterwards."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.said: list[Any] = []
        self.rank = 0
        patch.setattr(processes, "join", silent)
        patch.setattr(processes, "leave", silent)
        patch.setattr(processes, "rank", lambda: self.rank)
        patch.setattr(processes, "said_by_first", self.exchange)
        patch.setattr(processes, "_apart", False)
        patch.setenv("WORLD_SIZE", "2")

    def exchange(self, value: Any) -> Any:
        if self.rank:
            return self.said.pop(0)
        self.said.append(value)
        return value


@pytest.fixture
def radio(monkeypatch: pytest.MonkeyPatch) -> Radio:
    return Radio(monkeypatch)


def trained_by(calls: list[tuple[Any, ...]]) -> Callable[..., int]:
    @crew.together(progress=silent)
    def train(rows: int, progress: Any = silent) -> int:
        if rows < 0:
            raise ValueError("rows")
        calls.append((rows, progress, processes.count()))
        return rows

    return train


def test_the_others_train_what_the_leader_trains_and_nothing_else(radio: Radio) -> None:
    calls: list[tuple[Any, ...]] = []
    train = trained_by(calls)
    with crew.assembled() as leads:
        assert leads and processes.count() == 1
        assert train(3, progress=print) == 3
        assert processes.count() == 1
    assert calls == [(3, print, 2)]
    radio.rank = 1
    with crew.assembled() as leads:
        assert not leads
    assert calls == [(3, print, 2), (3, silent, 2)]
    assert radio.said == []


def test_a_run_that_fails_between_trainings_lets_the_others_go(radio: Radio) -> None:
    with pytest.raises(OSError, match="disk"), crew.assembled():
        raise OSError("disk")
    assert radio.said == [None]


def test_a_training_that_fails_says_nothing_more(radio: Radio) -> None:
    with pytest.raises(ValueError, match="rows"), crew.assembled():
        trained_by([])(-1)
    assert len(radio.said) == 1 and radio.said[0][1]["rows"] == -1


def test_alone_a_process_leads_nobody() -> None:
    calls: list[tuple[Any, ...]] = []
    with crew.assembled() as leads:
        assert leads and trained_by(calls)(1) == 1
    assert calls == [(1, silent, 1)]


@pytest.mark.slow
def test_a_run_of_two_processes_trains_as_a_run_of_one_does(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    recipe_for = runpy.run_path(str(ROOT / "tests" / "test_pipeline.py"))["recipe_for"]
    alone = recipe_for(tiny_model_folder, tmp_path / "alone")
    file = tmp_path / "two.yaml"
    file.write_bytes(msgspec.json.encode(recipe_for(tiny_model_folder, tmp_path / "two")))
    halves = [f"{block}.train.batch_size=2" for block in TRAINED]
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    done = subprocess.run(
        [sys.executable, *launch, "-m", "charter.cli.main", "rl", str(file), *halves, "--json"],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count('"seconds"') == 1  # the first process speaks
    summary = pipeline.run(alone, through="rl")
    assert json.loads(done.stdout.splitlines()[-1])["seconds"].keys() == summary.seconds.keys()
    for stage in TRAINED:
        ours, theirs = (curve_of(tmp_path / run / stage) for run in ("alone", "two"))
        assert len(ours) == len(theirs) > 0
        for one, other in zip(ours, theirs, strict=True):
            assert one == pytest.approx(other, rel=2e-3, abs=2e-4)


def curve_of(stage: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (stage / "curve.jsonl").read_text().splitlines()]
