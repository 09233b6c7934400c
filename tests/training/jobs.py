"""Small trainings by name, for tests that start processes of their own: two, or one to be killed.

    python jobs.py NAME START OUT [KILL_AT]

trains from the model folder START into OUT, writes `curve.json` beside it, and dies by SIGKILL when
step KILL_AT has been taken.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from charter.records import Checkpoint, Message, Prompt
from charter.training.examples import ChatExample, PairExample
from charter.training.monitor import Monitor
from charter.training.online import train_online
from charter.training.ppo import train_ppo
from charter.training.preference import train_preference
from charter.training.rl_settings import MonitorSettings, PPOSettings
from charter.training.run import train_dpo, train_sft
from charter.training.settings import DPOSettings, OnlineSettings, TrainSettings

ASKS = ["Tell me a story.", "Say something kind.", "What is a good plan?"]
THINGS = ["apple", "a river of stone", "cloud", "the bread is good to bake", "no"]
TALKS = [(Message("user", ask),) for ask in ASKS]
EXAMPLES = [ChatExample(talk, f"good {thing}") for talk in TALKS for thing in THINGS]
PAIRS = [
    PairExample(talk, f"good {thing}", f"bad {thing} please", 0.6 + 0.1 * i)
    for i, talk in enumerate(TALKS)
    for thing in THINGS
]
"""15 rows: neither batches nor processes come out even."""
PROMPTS = [Prompt(f"p{i}", talk) for i, talk in enumerate(TALKS)]


def settings(processes: int = 1, *, accumulation: int = 1, **more: Any) -> TrainSettings:
    """Eight rows an optimiser step, however many processes and batches they are spread over."""
    rows = 8 // processes // accumulation
    fields = {"learning_rate": 1e-2, "lora_rank": 4, "epochs": 3.0, "save_steps": 2} | more
    return TrainSettings(batch_size=rows, accumulation=accumulation, **fields)


def sft(start: Checkpoint, out: Path, how: TrainSettings, progress: Any) -> Any:
    return train_sft(start, EXAMPLES, how, out, progress)


def preference(start: Checkpoint, out: Path, how: TrainSettings, progress: Any) -> Any:
    return train_preference(start, PAIRS, how, out, progress)


def dpo(start: Checkpoint, out: Path, how: TrainSettings, progress: Any) -> Any:
    return train_dpo(start, PAIRS, how, DPOSettings(beta=0.5), out, progress)


def spaces(conversations: Any, answers: list[str]) -> list[float | None]:
    return [float(answer.count(" ")) for answer in answers]


def sours(conversations: Any, answers: list[str]) -> list[float | None]:
    """A held-out scorer that likes few letters."""
    return [-float(len(answer)) for answer in answers]


def ppo(start: Checkpoint, out: Path, how: TrainSettings, progress: Any) -> Any:
    settings = PPOSettings(
        steps=6,
        prompts_per_step=3,
        group=2,
        minibatch=4,
        epochs=2,
        max_new_tokens=5,
        lora_rank=4,
        learning_rate=1e-2,
        save_steps=2,
    )
    return train_ppo(start, PROMPTS, spaces, settings, out, progress, monitor=watching())


def online(method: str, start: Checkpoint, out: Path, how: TrainSettings, progress: Any) -> Any:
    settings = OnlineSettings(
        method=method,  # type: ignore[arg-type]
        steps=6,
        prompts_per_step=2,
        group=2,
        max_new_tokens=5,
        lora_rank=4,
        learning_rate=1e-2,
        save_steps=2,
    )
    return train_online(start, PROMPTS, spaces, settings, out, progress, monitor=watching())


def watching() -> Monitor:
    return Monitor(MonitorSettings(window=1, stop=False), held_out=sours)


JOBS: dict[str, Callable[..., Any]] = {
    "sft": sft,
    "preference": preference,
    "dpo": dpo,
    "ppo": ppo,
    "grpo": partial(online, "grpo"),
    "rloo": partial(online, "rloo"),
}


def silent(*_: Any) -> None:
    pass


def killer(step: int) -> Callable[[int, int, Mapping[str, float]], None]:
    def progress(done: int, total: int, metrics: Mapping[str, float]) -> None:
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)

    return progress


def main(names: str, start: str, out: str, kill_at: str = "0") -> None:
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    progress = killer(int(kill_at)) if int(kill_at) else silent
    for name in names.split(","):
        trained = JOBS[name](Checkpoint(start), Path(out) / name, settings(processes), progress)
        if int(os.environ.get("RANK", "0")) == 0:
            (Path(out) / f"{name}.json").write_text(json.dumps(trained.curve))
            (Path(out) / "processes").write_text(str(processes))


if __name__ == "__main__":
    main(*sys.argv[1:])
