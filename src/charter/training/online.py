"""Reinforcement learning on the policy's own samples: GRPO and RLOO, through TRL.

Owns the settings that TRL is given, and the record of every sample with its reward. A reward that
cannot be had is `None`: TRL then leaves the sample out of its group's baseline and gives it no
gradient. Knows no judge: a callable comes in.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PreTrainedModel, PrinterCallback
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.rloo_config import RLOOConfig
from trl.trainer.rloo_trainer import RLOOTrainer

from charter.errors import TrainingError
from charter.models import hf
from charter.models.hf import HFModel
from charter.records import Checkpoint, Message, Prompt, Rollout
from charter.training.loop import common_arguments
from charter.training.policy import adapter_config, save_policy
from charter.training.quiet import quiet
from charter.training.settings import OnlineSettings
from charter.training.watch import Progress, Watch, curve, silent

Reward = Callable[[list[tuple[Message, ...]], list[str]], list[float | None]]
"""Conversations and answers in, one reward (or `None`) each out."""
_METHODS: dict[str, tuple[Any, Any]] = {
    "grpo": (GRPOTrainer, GRPOConfig),
    "rloo": (RLOOTrainer, RLOOConfig),
}
Keep = Callable[[Sequence[Rollout]], None]


@dataclass(frozen=True, slots=True)
class TrainedOnline:
    """What reinforcement learning made.

    Attributes:
        checkpoint: what was written.
        curve: one row a step: `step`, `loss`, `reward`, `kl` (if `beta` > 0), lengths and so on.
        rollouts: every sample, in order; `Rollout.prompt` is the prompt's id.
        tokens: tokens of prompts and samples, as TRL counts them.
        seconds: wall time.
    """

    checkpoint: Checkpoint
    curve: tuple[dict[str, float], ...]
    rollouts: tuple[Rollout, ...]
    tokens: int
    seconds: float


@quiet()
def train_online(
    start: Checkpoint,
    prompts: Sequence[Prompt],
    reward: Reward,
    settings: OnlineSettings,
    out: str | Path,
    progress: Progress = silent,
    *,
    keep: Keep | None = None,
) -> TrainedOnline:
    """Train the start model on rewards of its own answers, tied to itself by a KL penalty.

    The reference is the start model: the fresh adapter switched off, or, when all weights are
    trained, a second copy in memory.

    Args:
        start: the model to begin with, and to stay close to.
        prompts: visited in random order, again and again.
        reward: called once a step with that step's samples.
        settings: see `OnlineSettings`.
        out: folder of the new checkpoint.
        progress: called after each step.
        keep: called with each step's rollouts as they are made, to be written down.

    Raises:
        TrainingError: there are too few prompts, no sample had a reward, or training diverged.
        ModelError: the start cannot be loaded.
    """
    if len(prompts) < settings.prompts_per_step:
        raise TrainingError(
            f"{len(prompts)} prompts are too few for prompts_per_step={settings.prompts_per_step}"
        )
    started, model = time.monotonic(), hf.load(start.base, adapters=start.adapters)
    recorder = _Recorder(reward, keep)
    with tempfile.TemporaryDirectory() as scratch:
        trainer = _trainer(model, prompts, recorder, settings, Path(scratch), progress)
        trainer.train()
    recorder.require_any()
    trained = HFModel(trainer.model, model.tokenizer, model.identity)
    return TrainedOnline(
        save_policy(trained, start, Path(out)),
        curve(trainer.state.log_history),
        tuple(recorder.rollouts),
        int(trainer.state.num_input_tokens_seen),
        time.monotonic() - started,
    )


class _Recorder:
    """A reward function as TRL calls it, which writes every sample down."""

    __name__ = "reward"

    def __init__(self, reward: Reward, keep: Keep | None) -> None:
        self.reward, self.keep = reward, keep
        self.rollouts: list[Rollout] = []

    def __call__(
        self,
        *,
        prompts: list[list[dict[str, str]]],
        completions: list[list[dict[str, str]]],
        prompt_id: list[str],
        trainer_state: Any,
        **_: Any,
    ) -> list[float | None]:
        conversations = [tuple(Message(m["role"], m["content"]) for m in p) for p in prompts]  # type: ignore[arg-type]
        answers = [turns[0]["content"] for turns in completions]
        rewards = self.reward(conversations, answers)
        # The step that these samples are for, numbered as in the loss curve.
        step = int(trainer_state.global_step) + 1
        made = [
            Rollout(name, answer, value, {"reward": value}, step)
            for name, answer, value in zip(prompt_id, answers, rewards, strict=True)
        ]
        self.rollouts += made
        if self.keep is not None:
            self.keep(made)
        return rewards

    def require_any(self) -> None:
        """A run in which nothing could be rewarded has learnt nothing, and must not look done."""
        if all(rollout.reward is None for rollout in self.rollouts):
            raise TrainingError(f"none of {len(self.rollouts)} samples could be rewarded")


def _trainer(
    model: HFModel,
    prompts: Sequence[Prompt],
    recorder: _Recorder,
    settings: OnlineSettings,
    scratch: Path,
    progress: Progress,
) -> Any:
    net = model.net
    assert isinstance(net, PreTrainedModel)
    kind, config = _METHODS[settings.method]
    whole = settings.lora_rank == 0
    if whole:
        # Merging adapters has frozen what they were merged into.
        net.requires_grad_(True)
    if whole and settings.beta > 0:
        _become_the_folder(net, scratch / "start")
    trainer = kind(
        model=net,
        reward_funcs=recorder,
        args=config(**_arguments(settings, scratch)),
        train_dataset=_dataset(prompts),
        processing_class=model.tokenizer,
        callbacks=[Watch(progress)],
        peft_config=None if whole else adapter_config(net, settings),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _become_the_folder(net: PreTrainedModel, folder: Path) -> None:
    """Let TRL find the merged start when it loads the reference by the model's own name.

    That name would lead it to the base without its adapters: the wrong reference, silently.
    """
    net.save_pretrained(folder)
    net.config._name_or_path = str(folder)


def _arguments(settings: OnlineSettings, scratch: Path) -> dict[str, Any]:
    samples = settings.prompts_per_step * settings.group
    if samples % settings.accumulation:
        raise TrainingError(f"accumulation={settings.accumulation} does not divide {samples}")
    return {
        **common_arguments(settings, settings.steps),
        "gradient_checkpointing": False,
        "output_dir": str(scratch / "trl"),
        "save_strategy": "no",
        "max_steps": settings.steps,
        "per_device_train_batch_size": samples // settings.accumulation,
        "gradient_accumulation_steps": settings.accumulation,
        "num_generations": settings.group,
        "max_completion_length": settings.max_new_tokens,
        "temperature": settings.temperature,
        "beta": settings.beta,
    }


def _dataset(prompts: Sequence[Prompt]) -> Dataset:
    return Dataset.from_list(
        [
            {
                "prompt": [{"role": m.role, "content": m.content} for m in prompt.messages],
                "prompt_id": prompt.id,
            }
            for prompt in prompts
        ]
    )
