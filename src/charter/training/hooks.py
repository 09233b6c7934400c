"""What TRL calls while it trains: the reward of its samples, and the end of each step.

Owns the passage from TRL's names to a recorder, a monitor and a journal. Knows no settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from charter.records import Message
from charter.training import processes
from charter.training.journal import Journal, Round
from charter.training.recorder import Recorder
from charter.training.snapshot import Snapshot

BEST = "best"
"""The journal's name of the weights worth keeping."""


class RewardFunction:
    """A recorder as TRL calls it."""

    __name__ = "reward"

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def __call__(
        self,
        *,
        prompts: list[list[dict[str, str]]],
        completions: list[list[dict[str, str]]],
        prompt_id: list[str],
        trainer_state: Any,
        **_: Any,
    ) -> list[float | None]:
        """Rewards of a step's samples; None where one cannot be had."""
        conversations = [tuple(Message(m["role"], m["content"]) for m in p) for p in prompts]  # type: ignore[arg-type]
        answers = [turns[0]["content"] for turns in completions]
        # The step that these samples are for, numbered as in the loss curve.
        step = int(trainer_state.global_step) + 1
        return processes.by_first(
            list(zip(prompt_id, conversations, answers, strict=True)),
            lambda samples: self.recorder.rate(step, *map(list, zip(*samples, strict=True))),
        )


class Closer(TrainerCallback):
    """Gives the recorder's monitor the other half of each step, and stops when it says so.

    It also writes the journal, so that a run that was killed finds all of this again.
    """

    def __init__(self, recorder: Recorder, journal: Journal, snapshot: Snapshot) -> None:
        self.recorder, self.monitor = recorder, recorder.monitor
        self.journal, self.snapshot = journal, snapshot

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """A run may have been killed after its last step."""
        self._stop_if_past(control)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Called with the numbers of a step."""
        if logs is None or "loss" not in logs:
            return
        tokens, kl = logs.get("completions/mean_length"), logs.get("kl")
        figures = {
            # TRL's mean is of tokens; the monitor speaks of whole answers.
            "kl": None if kl is None or tokens is None else kl * tokens,
            "entropy": logs.get("entropy"),
            "tokens": tokens,
        }
        if self.monitor is not None:
            self.monitor.close(state.global_step, figures)
        step = state.global_step
        self.journal.add(Round(step, self.recorder.of_step(step), figures))
        if self.journal.due(step) and self.snapshot.kept:
            # Before the Trainer saves: its checkpoint of this step must find them.
            self.journal.save(BEST, step, self.snapshot.kept, None, forget=False)
        self._stop_if_past(control)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Called when a checkpoint is whole."""
        self.journal.forget(BEST, before=state.global_step)

    def _stop_if_past(self, control: TrainerControl) -> None:
        # Only the first process has samples to judge by; all must stop at once.
        if processes.said_by_first(self.monitor is not None and self.monitor.stop):
            control.should_training_stop = True
