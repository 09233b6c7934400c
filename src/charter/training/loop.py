"""The one training loop: any objective, any model, through `transformers.Trainer`.

Owns steps, intermediate checkpoints, resuming and the loss curve. Accumulation, schedules,
trackers and several devices (DDP, FSDP) are the Trainer's. Knows no formula and no format.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import TrainingArguments

from charter.errors import TrainingError
from charter.records import Checkpoint, digest
from charter.training import processes
from charter.training.objectives import Objective
from charter.training.policy import uses_bf16
from charter.training.settings import TrainSettings, Tuning
from charter.training.trackers import checked
from charter.training.trainer import ObjectiveTrainer
from charter.training.watch import Progress, curve, silent

_STEPS = "steps"
_TRACKED = "runs"
"""Where TensorBoard's callback writes, inside the Trainer's folder."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What training made.

    Attributes:
        checkpoint: what was written.
        curve: one row an optimiser step: `step`, `loss`, `learning_rate`, `grad_norm`, metrics.
        tokens: tokens of prompts and answers passed through the model with a gradient.
        seconds: wall time of this process (a resumed run counts from its resumption).
    """

    checkpoint: Checkpoint
    curve: tuple[dict[str, float], ...]
    tokens: int
    seconds: float


def fit(
    model: nn.Module,
    objective: Objective,
    rows: Sequence[Any],
    settings: TrainSettings,
    *,
    out: Path,
    job: Any,
    progress: Progress = silent,
) -> tuple[tuple[dict[str, float], ...], float]:
    """Train the weights that require gradients.

    Args:
        model: what the objective calls.
        objective: how rows become a batch, and a batch a loss.
        rows: examples; `len(row)` is a row's length in tokens.
        settings: see `TrainSettings`.
        out: intermediate checkpoints are kept in a folder below it, and go when training ends.
        job: whatever else decides the result, encodable by msgspec. Training resumes only from
            checkpoints of the same job and settings.
        progress: called after each step.

    Returns:
        the loss curve, and the seconds it took.

    Raises:
        TrainingError: there are no rows, or the loss stopped being a number.
    """
    if not rows:
        raise TrainingError("there is nothing to train on: no examples are left")
    started = time.monotonic()
    steps = steps_folder(out, job, settings)
    trainer = ObjectiveTrainer(
        objective, model, rows, _arguments(settings, steps, len(rows)), progress
    )
    trainer.train(resume_from_checkpoint=last_checkpoint(steps))
    clear(steps, out)
    return curve(trainer.state.log_history), time.monotonic() - started


def steps_folder(out: Path, job: Any, settings: Tuning) -> Path:
    """Where a training keeps what it resumes from: a folder of its own for each job."""
    return out / f"{_STEPS}-{digest([job, settings])}"


def clear(steps: Path, out: Path) -> None:
    """Remove what a finished training resumed from; what a tracker wrote there goes to `out`."""

    def write() -> None:
        if (steps / _TRACKED).is_dir():
            shutil.copytree(steps / _TRACKED, out / _TRACKED, dirs_exist_ok=True)
        shutil.rmtree(steps, ignore_errors=True)

    processes.written(write)


def saving(settings: Tuning) -> dict[str, Any]:
    """Arguments of any Trainer about intermediate checkpoints."""
    return {
        "save_strategy": "steps" if settings.save_steps else "no",
        "save_steps": settings.save_steps or 500,
        "save_total_limit": 1,
    }


def common_arguments(settings: Tuning, total_steps: int) -> dict[str, Any]:
    """Arguments of any Trainer that follow from what all methods have in common.

    Args:
        settings: of any method.
        total_steps: optimiser steps of the whole run.
    """
    cuda = torch.cuda.is_available()
    constant = settings.schedule == "constant"
    return {
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "constant_with_warmup" if constant else settings.schedule,
        # Rounded down: the first of any warm-up steps has a learning rate of zero, and a short
        # run should not spend one on that.
        "warmup_steps": int(settings.warmup_ratio * total_steps),
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "seed": settings.seed,
        "report_to": checked(settings.report_to) or "none",
        "logging_steps": 1,
        # The filter would replace a loss that is not a number by the last one that was.
        "logging_nan_inf_filter": False,
        "remove_unused_columns": False,
        "disable_tqdm": True,
        "dataloader_pin_memory": cuda,
        "use_cpu": not cuda,
        "bf16": uses_bf16(),
    }


def _arguments(settings: TrainSettings, steps: Path, rows: int) -> TrainingArguments:
    a_step = settings.batch_size * settings.accumulation * processes.count()
    arguments = TrainingArguments(
        output_dir=str(steps),
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulation,
        num_train_epochs=settings.epochs,
        **saving(settings),
        **common_arguments(settings, math.ceil(settings.epochs * math.ceil(rows / a_step))),
    )
    # A process that sees several GPUs would copy the model to each at every step. Several GPUs take
    # several processes.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def last_checkpoint(steps: Path) -> str | None:
    """The newest intermediate checkpoint that is whole: the Trainer writes its state last."""
    whole = [file.parent for file in steps.glob("checkpoint-*/trainer_state.json")]
    newest = max(whole, key=lambda folder: int(folder.name.partition("-")[2]), default=None)
    return None if newest is None else str(newest)
