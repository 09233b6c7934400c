"""What the benchmarks measure themselves against works; their figures are nobody's test."""

from __future__ import annotations

import importlib
import json
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType

import pytest
from torch import nn

from charter.models.frozen import pack

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("machine")


def test_the_machine_has_rates_and_memory(machine: ModuleType) -> None:
    assert machine.matmul_rate(32, 2) > 0
    assert machine.frozen_rate(32, 2) > 0
    assert machine.rss_mb() > 1
    assert machine.seconds(lambda: None, 3) >= 0


def test_packed_weights_are_counted_too(machine: ModuleType) -> None:
    net = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 6), nn.Linear(6, 2)).requires_grad_(False)
    assert machine.weights(net) == 4 * 6 + 6 * 2
    pack(net)
    assert machine.weights(net) == 4 * 6 + 6 * 2


@pytest.mark.parametrize("name", sorted(p.stem for p in FOLDER.glob("*.py")))
def test_each_benchmark_can_be_imported_and_says_how_it_is_called(
    machine: ModuleType, name: str
) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    assert name == "machine" or f"python benchmarks/{name}.py" in module.__doc__
    sys.modules.pop(name)


def test_the_training_benchmark_runs_to_its_end(
    machine: ModuleType,
    tiny_model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    training = importlib.import_module("training")

    def here(task: str, side: str, options: Namespace, folder: str) -> dict[str, float]:
        given = {**vars(options), "work": f"{task}:{side}", "model": folder}
        found: dict[str, float] = training.work(Namespace(**given))
        return found

    monkeypatch.setattr(training, "apart", here)
    monkeypatch.setattr(training, "matmul_rate", lambda: 1e9)
    command = ["training.py", "--json", "--examples", "3", "--model", str(tiny_model_folder)]
    monkeypatch.setattr(sys, "argv", command)
    training.main()
    sys.modules.pop("training")
    found = json.loads(capsys.readouterr().out)
    assert {"sft_ratio", "pm_ratio", "dpo_ratio", "matmul_fraction", "rss_ratio"} <= set(found)
    assert all(value > 0 for value in found.values())
