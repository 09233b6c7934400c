"""`transformers.Trainer` with an objective of ours in the place of its loss.

Owns the weight of each batch in a step, over batches and processes, and which weights lie in an
intermediate checkpoint. Accumulation, schedules, trackers and several devices (DDP, FSDP) are the
Trainer's. Knows no formula and no settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.data import Dataset
from transformers import PrinterCallback, Trainer, TrainingArguments

from charter.training import processes
from charter.training.objectives import UNITS, Batch, Objective
from charter.training.sampler import NOBODY, LengthWindows
from charter.training.shards import put_back
from charter.training.watch import Progress, Watch

_WEIGHTS = "trainable.safetensors"


class _Rows(Dataset[Any]):
    """Examples by index; `NOBODY` is None."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return None if index == NOBODY else self.rows[index]


class ObjectiveTrainer(Trainer):
    """The Trainer with its loss, sampler, and intermediate weights delegated or reduced.

    A step's loss is the mean over all of its units, however they lie on batches and processes.
    """

    # `compute_loss` weighs each backward pass by its share of the step.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        objective: Objective,
        model: nn.Module,
        rows: Sequence[Any],
        args: TrainingArguments,
        progress: Progress,
    ) -> None:
        self.objective: Objective = objective
        self._lengths, self._anybody = [len(row) for row in rows], rows[0]
        self._pending: dict[str, torch.Tensor] = {}
        super().__init__(
            model=model,
            args=args,
            train_dataset=_Rows(rows),
            data_collator=self._collate,
            callbacks=[Watch(progress)],
        )
        self.remove_callback(PrinterCallback)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """The objective's loss, times this batch's share of the step."""
        units = inputs.pop(UNITS)
        loss, metrics = self.objective.loss(model, inputs)
        share = units / num_items_in_batch
        for name, value in metrics.items():
            self._pending[name] = self._pending.get(name, 0.0) + value * share
        # Gradients and logged losses are averaged over processes; here they must add up.
        loss = loss * (share * processes.count())
        return (loss, {}) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log a step, with the objective's figures over all processes."""
        if "loss" in logs:
            logs |= {name: float(processes.summed(v)) for name, v in self._pending.items()}
        self._pending.clear()
        super().log(logs, start_time)

    def _get_num_items_in_batch(
        self, batch_samples: list[Batch], device: torch.device
    ) -> torch.Tensor:
        """Units of one optimiser step, over all of its batches and all processes."""
        return processes.summed(
            torch.stack([batch[UNITS].to(device) for batch in batch_samples]).sum()
        )

    def _collate(self, rows: Sequence[Any]) -> Batch:
        real = [row for row in rows if row is not None]
        # A process for which nothing is left still takes part in the step, at weight 0.
        batch = self.objective.collate(real or [self._anybody])
        units = batch.get(UNITS, torch.tensor(len(real))) if real else torch.tensor(0)
        return {**batch, UNITS: units.float()}

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthWindows:
        devices = self.args.world_size
        even = self.args.train_batch_size * devices if devices > 1 else 1
        a_step = self.args.train_batch_size * self.args.gradient_accumulation_steps * devices
        return LengthWindows(self._lengths, batch=a_step, seed=self.args.seed, even=even)

    def _save(
        self, output_dir: str | None = None, state_dict: Mapping[str, torch.Tensor] | None = None
    ) -> None:
        # What does not move is on disk already, and tied weights must be written once.
        if not self.args.should_save or output_dir is None:
            return
        assert self.model is not None
        moving = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        given = state_dict or {}
        tensors = {n: given.get(n, p).detach().cpu().contiguous() for n, p in moving.items()}
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        save_file(tensors, Path(output_dir) / _WEIGHTS)

    def _load_from_checkpoint(
        self, resume_from_checkpoint: str, model: nn.Module | None = None
    ) -> None:
        saved, net = load_file(Path(resume_from_checkpoint) / _WEIGHTS), model or self.model
        assert net is not None
        put_back(net, saved)
