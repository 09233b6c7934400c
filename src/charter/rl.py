"""Stage: reinforcement learning from AI feedback (Bai et al. 2022, §4).

Owns the choice of optimiser and what it is given: labelled pairs for DPO and IPO, prompts and a
reward for GRPO and RLOO. The penalty, or the implicit constraint, is always towards the SFT model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from charter.engine.local import silent
from charter.errors import TrainingError
from charter.records import Checkpoint, Labelled, Message, Prompt, Record, Rollout, Scorer, Verdict
from charter.store import Manifest, StageFolder
from charter.training.curves import write_curve
from charter.training.examples import PairExample
from charter.training.loop import Trained
from charter.training.online import TrainedOnline, train_online
from charter.training.run import train_dpo
from charter.training.settings import DPOSettings, OnlineSettings, TrainSettings

STAGE = "rl"
_OFF_POLICY = ("dpo", "ipo")


class RlConfig(Record, frozen=True):
    """The `rl:` block of a recipe."""

    method: Literal["dpo", "ipo", "grpo", "rloo"] = "grpo"
    """`dpo` and `ipo` learn from the labelled pairs themselves, `grpo` and `rloo` from the
    preference model's reward of the policy's own samples."""
    train: TrainSettings = TrainSettings()
    """Settings of training on pairs."""
    dpo: DPOSettings = DPOSettings()
    """Settings of `dpo` and `ipo`; `loss` follows `method`."""
    online: OnlineSettings = OnlineSettings()
    """Settings of `grpo` and `rloo`; its `method` follows `method`."""


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
    trained: Trained | TrainedOnline
    if config.method in _OFF_POLICY:
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
        msgspec.structs.replace(config.dpo, loss=config.method),
        deps.folder.path / "checkpoint",
        progress=lambda done, total, _: deps.progress(STAGE, done, total),
    )
    return trained, {"pairs": len(pairs)}


def _on_policy(
    prompts: Sequence[Prompt], config: RlConfig, deps: RlDeps
) -> tuple[TrainedOnline, dict[str, Any]]:
    scorer = deps.scorer()

    def reward(contexts: list[tuple[Message, ...]], answers: list[str]) -> list[float | None]:
        exchanges = [
            (Prompt("", context), text) for context, text in zip(contexts, answers, strict=True)
        ]
        return [scored.value for scored in scorer.score(exchanges)]

    rollouts = deps.folder.log(Rollout)
    # Training that was cut short starts again, and so do its samples.
    rollouts.path.unlink(missing_ok=True)
    trained = train_online(
        deps.start,
        prompts,
        reward,
        msgspec.structs.replace(config.online, method=config.method),
        deps.folder.path / "checkpoint",
        progress=lambda done, total, _: deps.progress(STAGE, done, total),
        keep=rollouts.append,
    )
    left_out = sum(1 for rollout in trained.rollouts if rollout.reward is None)
    notes = {"rollouts": len(trained.rollouts), "left_out": left_out, "reward": scorer.identity}
    return trained, notes
