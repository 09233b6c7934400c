"""What every on-policy optimiser does with its samples: reward them, show them, write them down.

Owns the record of every sample with each part of its reward and each reading of the monitor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from charter.errors import TrainingError
from charter.records import Message, Rollout
from charter.training.journal import Round
from charter.training.monitor import Monitor
from charter.training.rewards import Paid, Reward, pay

Keep = Callable[[Sequence[Rollout]], None]


class Recorder:
    """Rewards samples and keeps them.

    Args:
        reward: pays for answers.
        keep: called with each step's rollouts as they are made, to be written down.
        monitor: reads them too.
        best: called before the update, when the policy that was sampled is the best one so far.
    """

    def __init__(
        self,
        reward: Reward,
        keep: Keep | None = None,
        monitor: Monitor | None = None,
        best: Callable[[], None] | None = None,
    ) -> None:
        self.reward, self.keep, self.monitor, self.best = reward, keep, monitor, best
        self.rollouts: list[Rollout] = []

    def rate(
        self,
        step: int,
        ids: Sequence[str],
        conversations: list[tuple[Message, ...]],
        answers: list[str],
    ) -> list[float | None]:
        """Reward and record one step's samples; see `book` where they are rewarded already."""
        paid = pay(self.reward, conversations, answers)
        self.book(step, ids, conversations, answers, paid)
        return [one.total for one in paid]

    def book(
        self,
        step: int,
        ids: Sequence[str],
        conversations: list[tuple[Message, ...]],
        answers: list[str],
        paid: Sequence[Paid],
    ) -> None:
        """Record samples that have been rewarded."""
        totals = [one.total for one in paid]
        read: Sequence[dict[str, float | None]] = [{} for _ in answers]
        if self.monitor is not None:
            read = self.monitor.read(step, conversations, answers, totals)
            if self.monitor.at_best and self.best is not None:
                self.best()
        made = [
            Rollout(id, answer, one.total, {**one.parts, **more}, step)
            for id, answer, one, more in zip(ids, answers, paid, read, strict=True)
        ]
        self.rollouts += made
        if self.keep is not None:
            self.keep(made)

    def recall(self, rounds: Sequence[Round], talks: Mapping[str, tuple[Message, ...]]) -> None:
        """Take over the steps of a run that was killed: they are kept, and shown, once more.

        Args:
            rounds: from the journal.
            talks: conversations by their prompts' ids.
        """
        for made in rounds:
            self.rollouts += made.rollouts
            if self.keep is not None:
                self.keep(made.rollouts)
            if self.monitor is not None:
                asked = [talks[rollout.prompt] for rollout in made.rollouts]
                answers = [rollout.completion for rollout in made.rollouts]
                rewards = [rollout.reward for rollout in made.rollouts]
                seen = [rollout.components.get("held_out") for rollout in made.rollouts]
                self.monitor.read(made.step, asked, answers, rewards, earlier=seen)
                self.monitor.close(made.step, made.figures)

    def of_step(self, step: int) -> tuple[Rollout, ...]:
        """One step's samples."""
        return tuple(rollout for rollout in self.rollouts if rollout.step == step)

    def require_any(self) -> None:
        """A run in which nothing could be rewarded has learnt nothing, and must not look done."""
        if all(rollout.reward is None for rollout in self.rollouts):
            raise TrainingError(f"none of {len(self.rollouts)} samples could be rewarded")
