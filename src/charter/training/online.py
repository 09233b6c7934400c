"""Reinforcement learning on the policy's own samples: GRPO and RLOO, through TRL.

Owns the settings that TRL is given. A reward that cannot be had is `None`: TRL then leaves the
sample out of its group's baseline and gives it no gradient. Knows no judge: a callable comes in.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
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
from charter.training import processes
from charter.training.crew import together
from charter.training.hooks import BEST, Closer, RewardFunction
from charter.training.journal import Journal
from charter.training.loop import clear, common_arguments, last_checkpoint, saving, steps_folder
from charter.training.monitor import Monitor
from charter.training.policy import adapter_config, save_policy
from charter.training.quiet import quiet
from charter.training.recorder import Keep, Recorder
from charter.training.rewards import Reward
from charter.training.sampler import lap_order
from charter.training.settings import OnlineSettings
from charter.training.snapshot import Snapshot
from charter.training.watch import Progress, Watch, curve, silent

_METHODS: dict[str, tuple[Any, Any]] = {
    "grpo": (GRPOTrainer, GRPOConfig),
    "rloo": (RLOOTrainer, RLOOConfig),
}


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


def _not_asked(conversations: list[tuple[Message, ...]], answers: list[str]) -> list[float | None]:
    raise AssertionError("only the first process rewards")


@together(progress=silent, reward=_not_asked, keep=None, monitor=None)
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
    monitor: Monitor | None = None,
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
        monitor: watches, and may stop training at the peak of the held-out score.

    Raises:
        TrainingError: there are too few prompts, no sample had a reward, training diverged, or the
            weights are to be cut into shards.
        ModelError: the start cannot be loaded.
    """
    if len(prompts) < settings.prompts_per_step:
        raise TrainingError(
            f"{len(prompts)} prompts are too few for prompts_per_step={settings.prompts_per_step}"
        )
    if processes.fully_sharded():
        raise TrainingError(f"{settings.method} cannot sample from weights in shards (FSDP)")
    processes.join()
    started, model = time.monotonic(), hf.load(start.base, adapters=start.adapters, plain=True)
    recorder, out = Recorder(reward, keep, monitor), Path(out)
    steps = steps_folder(out, [start, prompts], settings)
    with tempfile.TemporaryDirectory() as scratch:
        trainer = _trainer(model, prompts, recorder, settings, steps, Path(scratch), progress)
        snapshot = Snapshot(trainer.model)
        recorder.best = snapshot.keep
        journal = Journal(steps, settings.save_steps if processes.rank() == 0 else 0)
        last = last_checkpoint(steps)
        done = int(last.rpartition("-")[2]) if last else 0
        recorder.recall(journal.until(done), {prompt.id: prompt.messages for prompt in prompts})
        snapshot.recall(journal.load(BEST, done)[0])
        trainer.add_callback(Closer(recorder, journal, snapshot))
        trainer.train(resume_from_checkpoint=last)
    if monitor is not None and monitor.stop:
        snapshot.restore()
    if processes.rank() == 0:
        recorder.require_any()
    trained = HFModel(trainer.model, model.tokenizer, model.identity)
    checkpoint = save_policy(trained, start, out)
    clear(steps, out)
    return TrainedOnline(
        checkpoint,
        curve(trainer.state.log_history),
        tuple(recorder.rollouts),
        int(trainer.state.num_input_tokens_seen),
        time.monotonic() - started,
    )


def _trainer(
    model: HFModel,
    prompts: Sequence[Prompt],
    recorder: Recorder,
    settings: OnlineSettings,
    steps: Path,
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
        reward_funcs=RewardFunction(recorder),
        args=config(**_arguments(settings, steps)),
        train_dataset=_dataset(prompts, settings),
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


def _arguments(settings: OnlineSettings, steps: Path) -> dict[str, Any]:
    samples, passes = settings.prompts_per_step * settings.group, settings.accumulation
    if samples % (passes * processes.count()):
        raise TrainingError(
            f"accumulation={passes} on {processes.count()} processes does not divide {samples}"
        )
    return {
        **common_arguments(settings, settings.steps),
        **saving(settings),
        "gradient_checkpointing": False,
        "output_dir": str(steps),
        "max_steps": settings.steps,
        "per_device_train_batch_size": samples // passes // processes.count(),
        "gradient_accumulation_steps": passes,
        "shuffle_dataset": False,
        "num_generations": settings.group,
        "max_completion_length": settings.max_new_tokens,
        "temperature": settings.temperature,
        "beta": settings.beta,
    }


def _dataset(prompts: Sequence[Prompt], settings: OnlineSettings) -> Dataset:
    """Every step's prompts in their order: one long epoch, within which a killed run finds back."""
    rows = [
        {
            "prompt": [{"role": m.role, "content": m.content} for m in prompt.messages],
            "prompt_id": prompt.id,
        }
        for prompt in prompts
    ]
    places = range(settings.steps * settings.prompts_per_step)
    order = list(lap_order(len(prompts), places, settings.seed, "online"))
    return Dataset.from_list(rows).select(order)
