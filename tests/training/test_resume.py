"""A real kill (SIGKILL) in mid-training: run again, every method ends as if there had been none."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from charter.records import Checkpoint, Rollout
from charter.training.journal import Journal, Round, learner_state, restore_learner

SCRIPT = Path(__file__).with_name("jobs.py")
JOBS = runpy.run_path(str(SCRIPT))


def killed(name: str, start: Path, out: Path, at: int) -> None:
    """Train in a process of its own, which dies when it has taken a step."""
    env = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    command = [sys.executable, str(SCRIPT), name, str(start), str(out), str(at)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=280)
    assert done.returncode == -signal.SIGKILL, done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sft", "preference", "dpo", "ppo", "grpo", "rloo"])
def test_a_killed_run_ends_as_if_it_had_not_been(
    tiny_model_folder: Path, tmp_path: Path, name: str
) -> None:
    start, train = Checkpoint(str(tiny_model_folder)), JOBS["JOBS"][name]
    killed(name, tiny_model_folder, tmp_path / "cut", at=5)
    [steps] = (tmp_path / "cut" / name).glob("steps-*")
    seen: list[int] = []
    out = tmp_path / "cut" / name
    resumed = train(start, out, JOBS["settings"](), lambda done, *_: seen.append(done))
    whole = train(start, tmp_path / "whole", JOBS["settings"](), JOBS["silent"])
    # Step 5 was taken, but the last state on disk is that of step 4.
    assert seen == [5, 6] and not steps.exists()
    assert without_clocks(resumed.curve) == without_clocks(whole.curve)
    assert resumed.checkpoint.digest == whole.checkpoint.digest
    assert getattr(resumed, "rollouts", ()) == getattr(whole, "rollouts", ())
    assert resumed.tokens == whole.tokens


def without_clocks(curve: Any) -> list[dict[str, float]]:
    return [{n: v for n, v in row.items() if n != "step_time"} for row in curve]


def test_a_journal_forgets_what_no_saved_state_knows_of(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "steps", every=2)
    assert (journal.last("state"), journal.until(0)) == (0, [])
    rounds = [
        Round(n, (Rollout("p", "good", 1.0, {"held_out": None}, n),), {"kl": None, "loss": 0.5})
        for n in (1, 2, 3)
    ]
    for made in rounds:
        journal.add(made)
        if journal.due(made.step):
            journal.save("state", made.step, {"w": torch.ones(2)}, {"tokens": 7})
    assert journal.last("state") == 2
    assert journal.until(2) == rounds[:2] == journal.until(9)
    tensors, about = journal.load("state", 2)
    assert (tensors["w"].tolist(), about) == ([1.0, 1.0], {"tokens": 7})
    journal.save("state", 4, {"w": torch.zeros(2)}, None)
    assert journal.load("state", 2) == ({}, None)


def test_a_journal_that_saves_nothing_writes_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "steps", every=0)
    journal.add(Round(1, (), {}))
    assert not journal.due(1) and not (tmp_path / "steps").exists()


def learner() -> tuple[nn.Module, torch.optim.Optimizer, LambdaLR]:
    torch.manual_seed(0)
    net = nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1)
    return net, optimizer, LambdaLR(optimizer, lambda step: 1 / (1 + step))


def take(steps: int, net: nn.Module, optimizer: torch.optim.Optimizer, schedule: LambdaLR) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        (net(torch.ones(1, 2)) ** 2).sum().backward()
        optimizer.step()
        schedule.step()


def test_a_learner_that_was_put_back_goes_on_alike(tmp_path: Path) -> None:
    whole, first, second = learner(), learner(), learner()
    take(5, *whole)
    take(3, *first)
    journal = Journal(tmp_path, every=1)
    journal.save("state", 3, *learner_state(*first))
    restore_learner(*second, *journal.load("state", 3))
    take(2, *second)
    assert torch.equal(whole[0].weight, second[0].weight)
    assert whole[2].get_last_lr() == second[2].get_last_lr()
