"""What labels and missing rewards must do to what is trained, where the answer is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy.stats import spearmanr

from charter.models import hf
from charter.records import Checkpoint, Message, Prompt
from charter.seeds import draws
from charter.training.best_of_n import train_best_of_n
from charter.training.examples import PairExample, Tokeniser
from charter.training.gathered import GatheredLM
from charter.training.objectives import DirectPreference
from charter.training.online import train_online
from charter.training.ppo import train_ppo
from charter.training.preference import train_preference
from charter.training.reward_model import load_reward
from charter.training.rl_settings import BestOfNSettings, PPOSettings
from charter.training.run import answer_logprobs
from charter.training.settings import DPOSettings, OnlineSettings, TrainSettings

from .conftest import PROMPTS

WORDS = ["apple", "stone", "river", "cloud", "please", "sorry"]
UTILITY = {"apple": 1.0, "stone": -1.0, "river": 0.5, "cloud": -0.5, "please": 1.5, "sorry": 0.0}
TALK = (Message("user", "Tell me a story."),)


@pytest.mark.parametrize("loss", ["dpo", "ipo"])
def test_a_label_of_one_half_pulls_neither_way(tiny_model_folder: Path, loss: Any) -> None:
    """Exchanging A and B of a pair turns its gradient round when p is 1/2, so on average over the
    two orders there is none at the start, whatever the answers are."""
    model = hf.load(str(tiny_model_folder))
    net = GatheredLM(model.net.requires_grad_(True))
    tokeniser = Tokeniser.of(model, 64)
    objective = DirectPreference(DPOSettings(loss=loss, beta=0.3))

    def gradient(p: float) -> torch.Tensor:
        pairs = [PairExample(TALK, "good apple", "bad", p)]
        rows = tokeniser.pairs([*pairs, PairExample(TALK, "bad", "good apple", 1 - p)])
        ref_a, ref_b = measured(net, rows[0])
        batch = objective.collate(
            [with_ref(rows[0], ref_a, ref_b), with_ref(rows[1], ref_b, ref_a)]
        )
        model.net.zero_grad()
        objective.loss(net, batch)[0].backward()
        return torch.cat([w.grad.flatten() for w in model.net.parameters() if w.grad is not None])

    sure = float(gradient(0.9).norm())
    assert float(gradient(0.5).norm()) < 1e-4 * sure
    torch.testing.assert_close(gradient(0.1), -gradient(0.9), rtol=1e-3, atol=1e-5 * sure)


def measured(net: GatheredLM, pair: Any) -> list[float]:
    return answer_logprobs(net, [pair.a, pair.b], device=torch.device("cpu"), max_tokens=512)


def with_ref(pair: Any, a: float, b: float) -> Any:
    return replace(pair, ref_a=a, ref_b=b)


def test_a_preference_model_recovers_a_linear_utility(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    """Labels are σ(u(a) - u(b)), u being the sum of its words' utilities."""
    source = draws("linear utility")
    texts = [" ".join(source.choices(WORDS, k=3)) for _ in range(160)]

    def utility(text: str) -> float:
        return sum(UTILITY[word] for word in text.split())

    pairs = [
        PairExample(TALK, a, b, float(torch.sigmoid(torch.tensor(utility(a) - utility(b)))))
        for a, b in zip(texts[::2], texts[1::2], strict=True)
    ]
    settings = TrainSettings(learning_rate=1e-2, epochs=10.0, batch_size=16, lora_rank=8)
    train_preference(Checkpoint(str(tiny_model_folder)), pairs, settings, tmp_path)
    unseen = [" ".join(draws("unseen", i).choices(WORDS, k=3)) for i in range(60)]
    scores = load_reward(tmp_path).score([(Prompt("p", TALK), text) for text in unseen])
    order = spearmanr([s.value for s in scores], [utility(text) for text in unseen])
    assert order.statistic >= 0.9


Train = Callable[[Checkpoint, Any, Path, int], Any]
ROUND = {"prompts_per_step": 4, "group": 2, "max_new_tokens": 6, "lora_rank": 4}
STEADY: dict[str, Any] = {"schedule": "constant", "learning_rate": 1e-2, "warmup_ratio": 0.0}


def ppo(method: Any) -> Train:
    def train(start: Checkpoint, reward: Any, out: Path, steps: int) -> Any:
        settings = PPOSettings(method=method, steps=steps, **ROUND, **STEADY)
        return train_ppo(start, PROMPTS, reward, settings, out)

    return train


@pytest.mark.parametrize("method", ["ppo", "reinforce"])
def test_a_round_without_any_reward_moves_no_weight(
    undecided: Checkpoint, tmp_path: Path, method: Any
) -> None:
    def reward(silent_from: int) -> Any:
        asked: list[int] = []

        def pays(conversations: Any, answers: list[str]) -> list[float | None]:
            asked.append(1)
            silent = len(asked) >= silent_from
            return [None if silent else float(len(a)) for a in answers]

        return pays

    one = ppo(method)(undecided, reward(9), tmp_path / "one", 1)
    two = ppo(method)(undecided, reward(2), tmp_path / "two", 3)
    more = ppo(method)(undecided, reward(9), tmp_path / "more", 3)
    assert one.checkpoint.digest == two.checkpoint.digest != more.checkpoint.digest


def test_a_sample_without_reward_is_as_if_it_had_not_been_drawn(
    undecided: Checkpoint, tmp_path: Path
) -> None:
    """PPO on four prompts, two of them never rewarded, learns what it learns from the other two."""

    def some(conversations: Any, answers: list[str]) -> list[float | None]:
        heard = [PROMPTS[0].messages, PROMPTS[1].messages]
        return [
            float(len(a)) if talk in heard else None
            for talk, a in zip(conversations, answers, strict=True)
        ]

    alone = PPOSettings(steps=1, minibatch=99, **{**ROUND, "prompts_per_step": 2}, **STEADY)
    first = train_ppo(undecided, PROMPTS[:2], some, alone, tmp_path / "a")
    four = PPOSettings(steps=1, minibatch=99, **ROUND, **STEADY)
    second = train_ppo(undecided, PROMPTS, some, four, tmp_path / "b")
    for name in ("reward", "kl", "value_loss"):
        assert second.curve[0][name] == pytest.approx(first.curve[0][name], rel=1e-4, abs=1e-6)
    assert second.curve[0]["left_out"] == 4.0


@pytest.mark.parametrize("method", ["grpo", "rloo"])
def test_a_step_without_any_reward_has_no_gradient(
    undecided: Checkpoint, tmp_path: Path, method: Any
) -> None:
    calls: list[int] = []

    def first_silent(conversations: Any, answers: list[str]) -> list[float | None]:
        calls.append(1)
        return [None if len(calls) == 1 else float(len(a)) for a in answers]

    settings = OnlineSettings(method=method, steps=2, beta=0.0, **ROUND, **STEADY)
    trained = train_online(undecided, PROMPTS, first_silent, settings, tmp_path)
    norms = [row["grad_norm"] for row in trained.curve]
    assert norms[0] == pytest.approx(0.0, abs=1e-6) and norms[1] > 1e-3


def test_an_answer_without_reward_is_not_the_best_of_n(
    undecided: Checkpoint, tmp_path: Path
) -> None:
    def only_long(conversations: Any, answers: list[str]) -> list[float | None]:
        return [None if a == "good" else -1.0 for a in answers]

    trained = train_best_of_n(
        undecided,
        PROMPTS,
        only_long,
        BestOfNSettings(n=6, max_new_tokens=8),
        TrainSettings(),
        tmp_path,
    )
    winners = [r for r in trained.rollouts if r.components["chosen"]]
    assert winners and all(r.completion != "good" for r in winners)
