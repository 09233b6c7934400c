"""What is seen of training while it runs, and when it is stopped: progress, loss curve, NaN.

Owns reading the Trainer's log; TRL's trainers write the same one. Knows no objective.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from charter.errors import TrainingError

Metrics = Mapping[str, float]
Progress = Callable[[int, int, Metrics], None]
"""Called after each step with steps done, steps in all, and the step's numbers."""


def silent(done: int, total: int, metrics: Metrics) -> None:
    """Report no progress."""


def curve(history: Iterable[Mapping[str, Any]]) -> tuple[dict[str, float], ...]:
    """The rows of a Trainer's log that belong to steps, numbers only."""
    return tuple(_numbers(row) for row in history if "loss" in row)


class Watch(TrainerCallback):
    """Reports each step, and stops training when loss or gradients are no longer numbers."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Called with the numbers of a step; the Trainer saves only afterwards.

        Raises:
            TrainingError: loss or gradient norm is infinite or not a number.
        """
        if logs is None or "loss" not in logs:
            return
        numbers = _numbers(logs)
        for name in ("loss", "grad_norm"):
            if not math.isfinite(numbers.get(name, 0.0)):
                raise TrainingError(
                    f"{name} became {numbers[name]} at step {state.global_step} of "
                    f"{state.max_steps}: try a smaller learning_rate"
                )
        self.progress(state.global_step, state.max_steps, numbers)


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(v) for name, v in row.items() if isinstance(v, int | float)}
