"""Weights in shards over two processes (FSDP2, gloo) train and are saved as whole ones are."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from charter.errors import TrainingError
from charter.records import Checkpoint
from charter.training.shards import in_shards, put_back, whole_state

SCRIPT = Path(__file__).with_name("shards_job.py")
JOBS = runpy.run_path(str(SCRIPT.with_name("jobs.py")))
RANKS = {"sft": 0, "preference": 4, "dpo": 4}
FILES = {0: "model.safetensors", 4: "adapter_model.safetensors"}


@pytest.fixture(scope="module")
def two(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes with half of the weights each made of every job, cut off once."""
    out = tmp_path_factory.mktemp("shards")
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(SCRIPT))
    done = subprocess.run(
        [sys.executable, *launch, ",".join(RANKS), str(tiny_model_folder), str(out)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.mark.slow
@pytest.mark.parametrize("name", RANKS)
def test_shards_train_resume_and_save_as_one_process_does(
    two: Path, tiny_model_folder: Path, tmp_path: Path, name: str
) -> None:
    how = JOBS["settings"](lora_rank=RANKS[name])
    start = Checkpoint(str(tiny_model_folder))
    alone = JOBS["JOBS"][name](start, tmp_path / name, how, JOBS["silent"])
    together = json.loads((two / f"{name}.json").read_text())
    assert together["units"] >= 3  # two blocks, and what is around them
    assert len(together["curve"]) == len(alone.curve) == 6
    for ours, theirs in zip(alone.curve, together["curve"], strict=True):
        assert ours == pytest.approx(theirs, rel=5e-3, abs=5e-4)
    whole, gathered = (load_file(f / name / FILES[RANKS[name]]) for f in (tmp_path, two))
    assert whole.keys() == gathered.keys()
    for key, value in whole.items():
        torch.testing.assert_close(gathered[key], value, rtol=2e-2, atol=5e-3)
    assert not list((two / name).glob("steps-*"))


def test_sampling_from_shards_is_refused_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(TrainingError, match="cannot sample from weights in shards"):
        JOBS["JOBS"]["grpo"](Checkpoint("/nowhere"), tmp_path, JOBS["settings"](), JOBS["silent"])


def test_whole_weights_are_neither_copied_nor_changed() -> None:
    net = nn.Linear(2, 2)
    assert not in_shards(net) and whole_state(net) is None
    bias = net.bias.detach().clone()
    put_back(net, {"weight": torch.ones(2, 2)})
    assert torch.equal(net.weight, torch.ones(2, 2)) and torch.equal(net.bias, bias)
    with pytest.raises(AssertionError, match="other"):
        put_back(net, {"other": bias})
