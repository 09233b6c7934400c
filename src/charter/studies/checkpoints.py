"""The policies along one RL training: what each step sampled, and how far it had gone.

Owns training against a scorer with the KL from the start measured at every step. Knows no study and
no other scorer: the texts are read later, by whoever wants to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from charter.engine.local import Progress, silent
from charter.records import Checkpoint, Prompt, Scorer
from charter.rl import as_reward
from charter.training.monitor import Monitor
from charter.training.online import train_online
from charter.training.rl_settings import MonitorSettings
from charter.training.settings import OnlineSettings


@dataclass(frozen=True, slots=True)
class Visit:
    """One sample of one step: the prompt's id, the text, and the step's KL in nats (None: unknown).

    The sample was drawn, and the KL measured, before the step changed the policy.
    """

    step: int
    prompt: str
    text: str
    kl: float | None


def train_path(
    start: Checkpoint,
    prompts: Sequence[Prompt],
    scorer: Scorer,
    settings: OnlineSettings,
    out: Path,
    *,
    progress: Progress = silent,
) -> list[Visit]:
    """Train against a scorer and give every sample of every step.

    Args:
        start: the policy to begin with.
        prompts: visited again and again.
        scorer: pays; an answer that it cannot read is left out of learning.
        settings: `beta` must be above 0, or the KL is not measured.
        out: folder of the last checkpoint.
        progress: told after every step.

    Raises:
        TrainingError: too few prompts, nothing could be rewarded, or training diverged.
    """
    assert settings.beta > 0, "without a KL penalty the optimiser does not measure the KL"
    reward = as_reward(scorer, {prompt.messages: prompt for prompt in prompts})
    monitor = Monitor(MonitorSettings())
    trained = train_online(
        start,
        prompts,
        reward,
        settings,
        out,
        lambda done, total, _: progress("rl", done, total),
        monitor=monitor,
    )
    # An estimate of a small KL from samples may come out below 0.
    kl = {row.step: None if row.kl is None else max(row.kl, 0.0) for row in monitor.rows}
    return [Visit(r.step, r.prompt, r.completion, kl.get(r.step)) for r in trained.rollouts]
