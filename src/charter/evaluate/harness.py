"""Tasks of EleutherAI's lm-evaluation-harness, run through its Hugging Face backend.

An optional dependency, run as a program of its own: it brings a hundred packages, and a crash in
one of its tasks must not take an evaluation with it. Owns the command line and reading the result.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from charter.errors import ModelError, StoreError, boundary
from charter.models import embedded, hf
from charter.records import Checkpoint, Measurement
from charter.statistics.rate import Z95

PREFIX = "lm_eval:"
"""How a suite of the harness is asked for: `lm_eval:hellaswag`."""
MISSING = "lm-evaluation-harness is not installed (pip install lm-eval)"
_TAIL = 400


def installed() -> bool:
    """Whether the harness can be run."""
    return importlib.util.find_spec("lm_eval") is not None


def run_task(
    task: str, name: str, checkpoint: Checkpoint, *, limit: int | None = None, seed: int = 0
) -> list[Measurement]:
    """Every figure of a task, for one local model.

    Args:
        task: as the harness names it; several with commas.
        name: of the model in the figures.
        checkpoint: the model; the harness loads one adapter beside it, several are merged first.
        limit: examples of each task.
        seed: of the few-shot examples.

    Raises:
        ModelError: the harness failed; with the end of what it said.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as merged:
        arguments = model_arguments(_stacked(checkpoint, merged))
        command = [
            *(sys.executable, "-m", "lm_eval", "--model", "hf"),
            *("--model_args", arguments, "--tasks", task),
            *("--output_path", folder, "--seed", str(seed)),
            *(() if limit is None else ("--limit", str(limit))),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-_TAIL:]
            raise ModelError(f"lm-evaluation-harness failed on {task!r} with {name!r}: {said}")
        files = sorted(Path(folder).rglob("results*.json"))
        if not files:
            raise ModelError(f"lm-evaluation-harness wrote no result for {task!r}")
        with boundary(StoreError, f"reading {files[-1]}", catch=(OSError, ValueError)):
            tree = json.loads(files[-1].read_text(encoding="utf-8"))
    return list(read_results(tree, name))


def model_arguments(checkpoint: Checkpoint) -> str:
    """The harness's `--model_args` for a checkpoint with at most one adapter."""
    assert len(checkpoint.adapters) < 2, checkpoint
    base = embedded.folder() if checkpoint.base == embedded.NAME else checkpoint.base
    adapters = [f"peft={adapter}" for adapter in checkpoint.adapters]
    return ",".join([f"pretrained={base}", *adapters, "dtype=float32"])


def _stacked(checkpoint: Checkpoint, folder: str) -> Checkpoint:
    """The same model with at most one adapter: several are merged into a copy in a folder."""
    if len(checkpoint.adapters) < 2:
        return checkpoint
    model = hf.load(checkpoint.base, adapters=checkpoint.adapters, plain=True)
    model.net.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return Checkpoint(folder)


def read_results(tree: dict[str, Any], model: str) -> Iterator[Measurement]:
    """Measurements of a result file: `lm_eval:TASK/METRIC`, ± 1.96 of its standard errors.

    A figure without a standard error has no interval, so it is left out.
    """
    counts = tree.get("n-samples", {})
    for task, figures in tree.get("results", {}).items():
        n = int(counts.get(task, {}).get("effective", 0))
        for key, value in figures.items():
            metric, _, filter_ = key.partition(",")
            error = figures.get(f"{metric}_stderr,{filter_}")
            if isinstance(value, (int, float)) and isinstance(error, (int, float)):
                half = Z95 * error
                named = f"{PREFIX}{task}/{metric}"
                yield Measurement(model, named, value, value - half, value + half, n, 0)
