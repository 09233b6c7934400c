"""What a policy that learns from its own samples has been through, so that a killed run goes on.

Owns the samples and figures of every step, and sets of tensors that are on disk whole or not at
all. Which tensors a learner needs is its own business.

    FOLDER/
    ├── rounds.jsonl        samples and figures, appended step by step
    ├── state-N.safetensors a learner after step N
    └── best-N.safetensors  the weights worth keeping, as of step N
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from charter.errors import StoreError, boundary
from charter.records import Record, Rollout
from charter.store import PARTIAL, RecordLog, write_atomic

_ABOUT = "about"
_WEIGHT, _MOMENT = "weight/", "optimizer/"


class Round(Record, frozen=True):
    """One step: what was sampled, and the figures that were known after it."""

    step: int
    rollouts: tuple[Rollout, ...]
    figures: dict[str, float | None]


class Journal:
    """The folder of one run. Without `every`, nothing is ever written, and nothing is found.

    Args:
        folder: made when it is first needed.
        every: steps from one saved state to the next; 0 saves none.
    """

    def __init__(self, folder: Path, every: int) -> None:
        self.folder, self.every = folder, every
        self.log = RecordLog(folder / "rounds.jsonl", Round)

    def add(self, made: Round) -> None:
        """Write a step down."""
        if self.every:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.log.append([made])

    def until(self, step: int) -> list[Round]:
        """The steps up to this one; later ones, which no saved state knows of, are forgotten."""
        if not self.every:
            return []
        kept = [made for made in self.log if made.step <= step]
        if self.log.path.exists():
            lines = [msgspec.json.encode(made) + b"\n" for made in kept]
            write_atomic(self.log.path, b"".join(lines))
        return kept

    def due(self, step: int) -> bool:
        """Whether a state should be saved after this step."""
        return self.every > 0 and step % self.every == 0

    def save(
        self,
        name: str,
        step: int,
        tensors: Mapping[str, torch.Tensor],
        about: Any,
        *,
        forget: bool = True,
    ) -> None:
        """Save tensors as of a step, then forget the earlier ones of that name, unless told not to.

        Raises:
            StoreError: the disk is full or read-only.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path, partial = self._path(name, step), self.folder / f".{name}{PARTIAL}"
        metadata = {_ABOUT: msgspec.json.encode(about).decode()}
        with boundary(StoreError, f"writing {path}", catch=(OSError,)):
            plain = {n: t.detach().cpu().contiguous() for n, t in tensors.items()}
            save_file(plain, partial, metadata)
            partial.replace(path)
        if forget:
            self.forget(name, before=step)

    def forget(self, name: str, *, before: int) -> None:
        """Remove what was saved under a name at earlier steps."""
        for step in self._steps(name):
            if step < before:
                self._path(name, step).unlink()

    def last(self, name: str) -> int:
        """The last step at which something was saved under a name; 0 if nothing was."""
        return max(self._steps(name), default=0)

    def load(self, name: str, step: int) -> tuple[dict[str, torch.Tensor], Any]:
        """Tensors saved as of a step, and what was said about them; nothing if there are none."""
        path = self._path(name, step)
        if not path.exists():
            return {}, None
        with safe_open(path, "pt") as file:
            about = msgspec.json.decode((file.metadata() or {}).get(_ABOUT, "null"))
        return load_file(path), about

    def _path(self, name: str, step: int) -> Path:
        return self.folder / f"{name}-{step}.safetensors"

    def _steps(self, name: str) -> list[int]:
        pattern = re.compile(rf"{re.escape(name)}-(\d+)\.safetensors")
        files = self.folder.glob(f"{name}-*.safetensors")
        return [int(found[1]) for file in files if (found := pattern.fullmatch(file.name))]


def learner_state(
    net: nn.Module, optimizer: Optimizer, schedule: LRScheduler
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """All of a learner that moves: trainable weights, the optimiser's moments, the schedule."""
    tensors: dict[str, torch.Tensor] = {
        _WEIGHT + n: p for n, p in net.named_parameters() if p.requires_grad
    }
    found = optimizer.state_dict()
    for index, moments in found["state"].items():
        tensors |= {f"{_MOMENT}{index}/{name}": value for name, value in moments.items()}
    return tensors, {"groups": found["param_groups"], "schedule": schedule.state_dict()}


@torch.no_grad()
def restore_learner(
    net: nn.Module,
    optimizer: Optimizer,
    schedule: LRScheduler,
    tensors: Mapping[str, torch.Tensor],
    about: Mapping[str, Any],
) -> None:
    """Put a learner back into the state that `learner_state` gave."""
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            parameter.copy_(tensors[_WEIGHT + name])
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(_MOMENT):
            index, _, name = key.removeprefix(_MOMENT).partition("/")
            state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": about["groups"]})
    schedule.load_state_dict(dict(about["schedule"]))
