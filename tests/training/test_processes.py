"""Two processes on the CPU (gloo) must train as one does: same global batches, same losses."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from charter.errors import TrainingError
from charter.models import hf
from charter.records import Checkpoint
from charter.training import processes

SCRIPT = Path(__file__).with_name("jobs.py")
JOBS = runpy.run_path(str(SCRIPT))
NAMES = ("sft", "preference", "dpo")


def launched(*command: str) -> None:
    env = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, *command], env=env, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def two(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes made of every job."""
    out = tmp_path_factory.mktemp("two")
    # accelerate's own launcher starts one process where there is no GPU, whatever it is told.
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    launched(*launch, str(SCRIPT), ",".join(NAMES), str(tiny_model_folder), str(out))
    assert (out / "processes").read_text() == "2"
    return out


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_two_processes_train_as_one_does(
    two: Path, tiny_model_folder: Path, tmp_path: Path, name: str
) -> None:
    start = Checkpoint(str(tiny_model_folder))
    alone = JOBS["JOBS"][name](start, tmp_path / name, JOBS["settings"](), JOBS["silent"])
    together = json.loads((two / f"{name}.json").read_text())
    assert len(together) == len(alone.curve) == 6
    assert alone.curve[-1]["loss"] < 0.97 * alone.curve[0]["loss"]
    for ours, theirs in zip(alone.curve, together, strict=True):
        assert ours == pytest.approx(theirs, rel=2e-3, abs=2e-4)
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        assert (two / name / file).stat().st_size == (tmp_path / name / file).stat().st_size
    assert not list((two / name).glob("steps-*"))


@pytest.mark.parametrize("name", NAMES)
def test_small_batches_added_up_train_as_a_large_one_does(
    tiny_model_folder: Path, tmp_path: Path, name: str
) -> None:
    start, train = Checkpoint(str(tiny_model_folder)), JOBS["JOBS"][name]
    whole = train(start, tmp_path / "whole", JOBS["settings"](epochs=1.0), JOBS["silent"])
    parts = JOBS["settings"](accumulation=4, epochs=1.0)
    added = train(start, tmp_path / "added", parts, JOBS["silent"])
    assert len(added.curve) == len(whole.curve) == 2
    assert added.tokens == whole.tokens
    for ours, theirs in zip(added.curve, whole.curve, strict=True):
        assert ours == pytest.approx(theirs, rel=2e-3, abs=2e-4)


def test_alone_a_process_is_the_first_of_one(tmp_path: Path) -> None:
    assert (processes.count(), processes.rank()) == (1, 0)
    processes.join()
    processes.written(lambda: (tmp_path / "file").write_text("x"))
    assert (tmp_path / "file").exists()
    assert processes.shared_out([1, 2, 3], lambda items: [2 * i for i in items]) == [2, 4, 6]
    assert hf.revision(tmp_path)


def test_weights_in_shards_of_deepspeed_are_refused_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setenv("ACCELERATE_DEEPSPEED_ZERO_STAGE", "3")
    with pytest.raises(TrainingError, match="use FSDP"):
        JOBS["JOBS"]["sft"](Checkpoint("/nowhere"), tmp_path, JOBS["settings"](), JOBS["silent"])


def test_what_several_processes_share_keeps_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process is played by the test: its share is computed beforehand."""
    items = [1, 2, 3, 4, 5]
    shares = [[10 * i for i in items[rank::2]] for rank in (0, 1)]

    def all_gather(parts: list[list[int]], mine: list[int], group: object) -> None:
        assert mine == shares[0] and group == "patient"
        parts[:] = shares

    monkeypatch.setattr(processes, "_together", lambda: True)
    monkeypatch.setattr(processes, "_patient", lambda: "patient")
    monkeypatch.setattr(processes, "rank", lambda: 0)
    monkeypatch.setattr(processes, "count", lambda: 2)
    monkeypatch.setattr(processes.distributed, "all_gather_object", all_gather)
    found = processes.shared_out(items, lambda mine: [10 * i for i in mine])
    assert found == [10, 20, 30, 40, 50]
