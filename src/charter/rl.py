"""Stage: reinforcement learning from AI feedback (Bai et al. 2022, §4).

Owns the choice of optimiser and what it is given: labelled pairs for DPO and IPO, prompts and a
reward for GRPO and RLOO. The penalty, or the implicit constraint, is always towards the SFT model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from charter.engine.local import silent
from charter.errors import TrainingError
from charter.records import Checkpoint, Labelled, Message, Prompt, Record, Rollout, Scorer, Verdict
from charter.store import Manifest, StageFolder
from charter.training.curves import write_curve
from charter.training.examples import PairExample
from charter.training.online import OnlineSettings, train_online
from charter.training.run import DPOSettings, Trained, train_dpo
from charter.training.settings import TrainSettings

STAGE = "rl"


class RlConfig(Record, frozen=True):
    """The `rl:` block of a recipe."""

    method: Literal["dpo", "ipo", "grpo", "rloo"] = "grpo"
    """`dpo` and `ipo` learn from the labelled pairs themselves, `grpo` and `rloo` on policy from
    the preference model's reward."""
    train: TrainSettings = TrainSettings()
    dpo: DPOSettings = DPOSettings()
    online: OnlineSettings = OnlineSettings()


@dataclass(frozen=True, slots=True)
class RlDeps:
    """What the stage works with.

    Attributes:
        start: the SFT model, which is also the reference.
        folder: where the checkpoint, the curve and the rollouts go.
        scorer: loads the reward, called for on-policy methods only.
        progress: told after every step.
    """

    start: Checkpoint
    folder: StageFolder
    scorer: Callable[[], Scorer]
    progress: Callable[[str, int, int | None], None] = silent


def run(
    labels: Iterable[Labelled], prompts: Sequence[Prompt], config: RlConfig, *, deps: RlDeps
) -> Manifest:
    """Train the policy.

    Args:
        labels: labelled pairs (off-policy methods).
        prompts: prompts to sample from (on-policy methods).
        config: method and settings.
        deps: start model, folder, reward.

    Raises:
        TrainingError: there is nothing to learn from.
    """
    if deps.folder.manifest is not None:
        return deps.folder.manifest
    started = time.monotonic()
    if config.method in ("dpo", "ipo"):
        trained, notes = _from_pairs(labels, config, deps)
    else:
        trained, notes = _on_policy(prompts, config, deps)
    write_curve(deps.folder.path, trained.curve)
    notes |= {
        "method": config.method,
        "checkpoint": trained.checkpoint,
        "tokens": trained.tokens,
    }
    return deps.folder.finish(time.monotonic() - started, notes)


def _from_pairs(
    labels: Iterable[Labelled], config: RlConfig, deps: RlDeps
) -> tuple[Trained, dict[str, Any]]:
    pairs = [
        PairExample(r.comparison.prompt.messages, r.comparison.a, r.comparison.b, r.label.p_a)
        for r in labels
        if isinstance(r.label, Verdict)
    ]
    if not pairs:
        raise TrainingError("no labelled pairs: every label is an abstention")
    trained = train_dpo(
        deps.start,
        pairs,
        config.train,
        config.dpo,
        deps.folder.path / "checkpoint",
        progress=lambda done, total, _: deps.progress(STAGE, done, total),
    )
    return trained, {"pairs": len(pairs)}


def _on_policy(
    prompts: Sequence[Prompt], config: RlConfig, deps: RlDeps
) -> tuple[Trained, dict[str, Any]]:
    if not prompts:
        raise TrainingError("no prompts to sample from")
    scorer = deps.scorer()

    def reward(contexts: list[tuple[Message, ...]], answers: list[str]) -> list[float | None]:
        exchanges = [
            (Prompt("", context), text) for context, text in zip(contexts, answers, strict=True)
        ]
        return [scored.value for scored in scorer.score(exchanges)]

    rollouts = deps.folder.log(Rollout)
    trained, samples = train_online(
        deps.start,
        [p.messages for p in prompts],
        reward,
        config.train,
        config.online,
        deps.folder.path / "checkpoint",
        progress=lambda done, total, _: deps.progress(STAGE, done, total),
    )
    rollouts.append(samples)
    left_out = sum(1 for sample in samples if sample.reward is None)
    return trained, {"rollouts": len(samples), "left_out": left_out, "reward": scorer.identity}
