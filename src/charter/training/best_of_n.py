"""Best of n: sample n answers, keep the one that the reward likes best.

Owns the choice, in two forms: imitate the winners (rejection sampling, a policy comes out), or
choose anew for every request (`BestOfN`, a model that changes no weight). An answer without a
reward cannot win; a prompt of whose answers none has one is left out.

The policy of winners is at KL = ln n - (n - 1) / n from the start (Gao et al. 2022, §2.1), an upper
bound that imitation does not quite reach.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from charter.errors import TrainingError
from charter.models import hf
from charter.records import (
    Checkpoint,
    Completion,
    Message,
    Model,
    Prompt,
    Request,
    Rollout,
    Sampling,
    digest,
)
from charter.seeds import derive
from charter.training.examples import ChatExample
from charter.training.monitor import Monitor
from charter.training.online import TrainedOnline
from charter.training.quiet import quiet
from charter.training.recorder import Keep, Recorder
from charter.training.rewards import Reward
from charter.training.rl_settings import BestOfNSettings
from charter.training.run import train_sft
from charter.training.settings import TrainSettings
from charter.training.watch import Progress, silent

_SEED = "best-of-n"


class BestOfN:
    """A model whose every answer is the best of n of another's. Satisfies `records.Model`.

    Args:
        model: answers.
        reward: chooses. If it has nothing to say of any of the n, the first one is given.
        n: answers a request, at least 1.
        chooser: identity of what rewards.
    """

    def __init__(self, model: Model, reward: Reward, n: int, *, chooser: str) -> None:
        assert n >= 1
        self.model, self.reward, self.n, self.chooser = model, reward, n, chooser

    @property
    def identity(self) -> str:
        """The model's, how many answers, and who chooses."""
        return f"{self.model.identity}+best-of-{self.n}@{digest(self.chooser, length=12)}"

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """One completion a request, in order."""
        asked = [
            msgspec.structs.replace(request, seed=derive(request.seed, _SEED, number))
            for request in requests
            for number in range(self.n)
        ]
        made = self.model.generate(asked)
        values = self.reward([r.messages for r in asked], [one.text for one in made])
        best = []
        for start in range(0, len(made), self.n):
            won = winner(values[start : start + self.n])
            best.append(made[start + (won or 0)])
        return best


@quiet()
def train_best_of_n(
    start: Checkpoint,
    prompts: Sequence[Prompt],
    reward: Reward,
    settings: BestOfNSettings,
    train: TrainSettings,
    out: str | Path,
    progress: Progress = silent,
    *,
    keep: Keep | None = None,
    monitor: Monitor | None = None,
) -> TrainedOnline:
    """Imitate the best of n answers to each prompt.

    Args:
        start: the model that answers, and that is trained.
        prompts: each answered n times, once.
        reward: called once, with all answers.
        settings: see `BestOfNSettings`; `when` is not looked at.
        train: of the imitation.
        out: folder of the new checkpoint.
        progress: called after each optimiser step.
        keep: called with the rollouts; a winner's `components` have `chosen` at 1.
        monitor: gets two rows: the start's answers, then the winners.

    Raises:
        TrainingError: there are no prompts, or no answer had a reward.
        ModelError: the start cannot be loaded.
    """
    if not prompts:
        raise TrainingError("there is nothing to train on: no prompts")
    started = time.monotonic()
    rollouts, tokens = _rewarded(start, prompts, reward, settings, train.seed, monitor)
    wins = _winners(rollouts, settings.n)
    marked = tuple(
        msgspec.structs.replace(r, components={**r.components, "chosen": float(i in wins)})
        for i, r in enumerate(rollouts)
    )
    if keep is not None:
        keep(marked)
    if not wins:
        raise TrainingError(f"none of {len(rollouts)} samples could be rewarded")
    # Every prompt has n answers in a row, so an answer's place gives its prompt.
    talks = [prompts[i // settings.n].messages for i in wins]
    best = [rollouts[i] for i in wins]
    if monitor is not None:
        monitor.read(2, talks, [r.completion for r in best], [r.reward for r in best])
        monitor.close(2, {"kl": best_of_n_kl(settings.n)})
    examples = [ChatExample(talk, r.completion) for talk, r in zip(talks, best, strict=True)]
    trained = train_sft(start, examples, train, out, progress)
    return TrainedOnline(
        trained.checkpoint,
        trained.curve,
        marked,
        tokens + trained.tokens,
        time.monotonic() - started,
    )


def best_of_n_kl(n: int) -> float:
    """Divergence of the best of n from what it was chosen from, in nats."""
    return math.log(n) - (n - 1) / n


def winner(values: Sequence[float | None]) -> int | None:
    """Place of the largest value, the first one of equals; None if there is no value at all."""
    known = [(value, -place) for place, value in enumerate(values) if value is not None]
    return -max(known)[1] if known else None


def _rewarded(
    start: Checkpoint,
    prompts: Sequence[Prompt],
    reward: Reward,
    settings: BestOfNSettings,
    seed: int,
    monitor: Monitor | None,
) -> tuple[list[Rollout], int]:
    """All answers with their rewards, n in a row, and the tokens that were sampled."""
    model = hf.load(start.base, adapters=start.adapters)
    sampling = Sampling(settings.max_new_tokens, settings.temperature)
    slots = [(prompt, number) for prompt in prompts for number in range(settings.n)]
    made = model.generate(
        [Request(p.messages, sampling, derive(seed, _SEED, p.id, n)) for p, n in slots]
    )
    # Let go before the reward, and then training, need the room.
    del model
    gc.collect()
    recorder = Recorder(reward, monitor=monitor)
    talks: list[tuple[Message, ...]] = [prompt.messages for prompt, _ in slots]
    recorder.rate(1, [p.id for p, _ in slots], talks, [one.text for one in made])
    tokens = sum(one.tokens for one in made)
    if monitor is not None:
        monitor.close(1, {"kl": 0.0, "tokens": tokens / len(made)})
    return recorder.rollouts, tokens


def _winners(rollouts: Sequence[Rollout], n: int) -> dict[int, None]:
    """Places of the winners, in order; an empty text teaches nothing and cannot win."""
    found: dict[int, None] = {}
    for start in range(0, len(rollouts), n):
        group = rollouts[start : start + n]
        won = winner([r.reward if r.completion.strip() else None for r in group])
        if won is not None:
            found[start + won] = None
    return found
