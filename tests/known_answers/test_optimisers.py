"""With a planted reward every optimiser raises it, and none runs away from the start policy."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charter.records import Checkpoint
from charter.training.best_of_n import best_of_n_kl, train_best_of_n
from charter.training.examples import PairExample
from charter.training.online import train_online
from charter.training.ppo import train_ppo
from charter.training.rewards import Reward
from charter.training.rl_settings import BestOfNSettings, PPOSettings
from charter.training.run import train_dpo
from charter.training.settings import DPOSettings, OnlineSettings, TrainSettings

from .conftest import PROMPTS, divergence, sampled

FURTHEST = 4.0
"""Nats. Saying one of two even answers always is ln 2 away; random noise, tens of nats."""


def has_word(conversations: Any, answers: list[str]) -> list[float | None]:
    return [float("good" in answer) for answer in answers]


def short(conversations: Any, answers: list[str]) -> list[float | None]:
    return [float(len(answer.split()) == 1) if answer else None for answer in answers]


def online(method: Any) -> Callable[[Checkpoint, Reward, Path], Checkpoint]:
    settings = OnlineSettings(
        method=method,
        steps=20,
        prompts_per_step=4,
        group=4,
        max_new_tokens=8,
        learning_rate=1e-2,
        lora_rank=8,
    )
    return lambda start, reward, out: train_online(start, PROMPTS, reward, settings, out).checkpoint


def ppo(method: Any) -> Callable[[Checkpoint, Reward, Path], Checkpoint]:
    settings = PPOSettings(
        method=method,
        steps=24,
        prompts_per_step=4,
        group=4,
        minibatch=8,
        epochs=2,
        max_new_tokens=8,
        # Nothing clips the step of plain REINFORCE, so it takes smaller ones.
        learning_rate=1e-2 if method == "ppo" else 5e-3,
        value_learning_rate=3e-2,
        lora_rank=8,
    )
    return lambda start, reward, out: train_ppo(start, PROMPTS, reward, settings, out).checkpoint


def pairs(loss: Any) -> Callable[[Checkpoint, Reward, Path], Checkpoint]:
    train = TrainSettings(learning_rate=2e-3, epochs=5.0, batch_size=4, lora_rank=8)

    def optimise(start: Checkpoint, reward: Reward, out: Path) -> Checkpoint:
        exchanges = sampled(start, 24)
        values = reward([p.messages for p, _ in exchanges], [text for _, text in exchanges])
        rows = [
            PairExample(p.messages, a, b, 0.95 if first == 1.0 else 0.05)
            for ((p, a), first), ((other, b), second) in zip(
                *(list(zip(exchanges, values, strict=True))[k::2] for k in (0, 1)), strict=True
            )
            if p is other and a and b and first != second
        ]
        settings = DPOSettings(loss=loss, beta=0.2, sft_weight=0.2)
        return train_dpo(start, rows, train, settings, out).checkpoint

    return optimise


def best_of_n(start: Checkpoint, reward: Reward, out: Path) -> Checkpoint:
    train = TrainSettings(learning_rate=1e-2, epochs=8.0, batch_size=4, lora_rank=8)
    settings = BestOfNSettings(n=8, max_new_tokens=8)
    return train_best_of_n(start, PROMPTS, reward, settings, train, out).checkpoint


OPTIMISERS = {
    "grpo": online("grpo"),
    "rloo": online("rloo"),
    "ppo": ppo("ppo"),
    "reinforce": ppo("reinforce"),
    "dpo": pairs("dpo"),
    "ipo": pairs("ipo"),
    "best-of-n": best_of_n,
}


def mean(checkpoint: Checkpoint, reward: Reward) -> float:
    exchanges = sampled(checkpoint)
    values = reward([p.messages for p, _ in exchanges], [text for _, text in exchanges])
    known = [value for value in values if value is not None]
    return sum(known) / len(known)


@pytest.mark.parametrize("reward", [has_word, short], ids=["has-word", "short"])
@pytest.mark.parametrize("method", OPTIMISERS)
def test_the_reward_rises_and_the_policy_stays_near(
    undecided: Checkpoint, tmp_path: Path, method: str, reward: Reward
) -> None:
    before = mean(undecided, reward)
    policy = OPTIMISERS[method](undecided, reward, tmp_path)
    gained, room = mean(policy, reward) - before, 1 - before
    assert room > 0.2
    assert gained > room / 2
    assert divergence(policy, undecided) < FURTHEST


def test_the_kl_of_the_best_of_n_is_the_known_one() -> None:
    assert best_of_n_kl(1) == 0.0
    assert best_of_n_kl(4) == pytest.approx(math.log(4) - 0.75)
