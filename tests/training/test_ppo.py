"""PPO on a network small enough to train within a test; that it learns is in known_answers."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from charter.errors import TrainingError
from charter.models import hf
from charter.records import Checkpoint, Message, Prompt
from charter.training.actor import ActorCritic, Reference
from charter.training.examples import ChatExample, TokenRow
from charter.training.monitor import Monitor
from charter.training.objectives import lay_out_rows
from charter.training.policy import load_policy
from charter.training.ppo import train_ppo
from charter.training.rl_settings import MonitorSettings, PPOSettings
from charter.training.run import train_sft
from charter.training.settings import TrainSettings

TEXTS = ["Tell me a story.", "Say something kind.", "good", "bad"]
PROMPTS = [Prompt(f"p{i}", (Message("user", text),)) for i, text in enumerate(TEXTS)]
QUICK = PPOSettings(
    steps=2,
    prompts_per_step=3,
    group=2,
    minibatch=4,
    epochs=2,
    max_new_tokens=5,
    lora_rank=4,
    learning_rate=1e-2,
)


def spaces(conversations: Any, answers: list[str]) -> list[float | None]:
    return [float(answer.count(" ")) for answer in answers]


@pytest.fixture
def start(tiny_model_folder: Path) -> Checkpoint:
    return Checkpoint(str(tiny_model_folder))


def changed(**fields: Any) -> PPOSettings:
    return PPOSettings(**{f: getattr(QUICK, f) for f in QUICK.__struct_fields__} | fields)


@pytest.mark.parametrize("chunk", [512, 2])
def test_likelihoods_are_those_of_the_whole_network(tiny_model_folder: Path, chunk: int) -> None:
    model = hf.load(str(tiny_model_folder))
    actor = ActorCritic(model.net, temperature=2.0, chunk=chunk).eval()
    rows = [TokenRow((5, 6, 7), (8, 9)), TokenRow((5, 6), (10, 11, 12))]
    read = actor(**lay_out_rows(rows))
    assert read.mask_BA.tolist() == [[True, True, False], [True, True, True]]
    for row, found, entropy in zip(rows, read.logprobs_BA, read.entropy_BA, strict=True):
        ids = torch.tensor([row.prompt + row.answer])
        logits = model.net(input_ids=ids).logits[0, len(row.prompt) - 1 : -1] / 2.0
        every = logits.log_softmax(-1)
        wanted = every.gather(-1, torch.tensor(row.answer)[:, None])[:, 0]
        torch.testing.assert_close(found[: len(row.answer)], wanted, rtol=1e-4, atol=1e-5)
        wanted = -(every.exp() * every).sum(-1)
        torch.testing.assert_close(entropy[: len(row.answer)], wanted, rtol=1e-4, atol=1e-5)
    assert not read.values_BA.any()


def test_gradients_do_not_depend_on_how_many_tokens_are_read_at_once(
    tiny_model_folder: Path,
) -> None:
    batch = lay_out_rows([TokenRow((5, 6, 7), (8, 9)), TokenRow((5, 6), (10, 11, 12))])
    found = []
    for chunk in (512, 2):
        net = hf.load(str(tiny_model_folder), plain=True).net.requires_grad_(True)
        read = ActorCritic(net, temperature=2.0, chunk=chunk)(**batch)
        assert not read.entropy_BA.requires_grad
        (read.logprobs_BA * torch.arange(3)).sum().backward()
        found.append({n: p.grad for n, p in net.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys() and found[0]
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-4, atol=1e-6)


def test_the_value_does_not_train_the_policy(tiny_model_folder: Path) -> None:
    model = hf.load(str(tiny_model_folder))
    actor = ActorCritic(model.net.requires_grad_(True))
    read = actor(**lay_out_rows([TokenRow((5, 6, 7), (8, 9))]))
    ((read.values_BA - 1) ** 2).sum().backward()
    assert actor.value.bias.grad is not None
    assert all(p.grad is None for p in model.net.parameters())


@pytest.mark.parametrize("rank", [4, 0])
def test_the_reference_is_the_start_also_after_learning(start: Checkpoint, rank: int) -> None:
    model = load_policy(start, changed(lora_rank=rank))
    actor = ActorCritic(model.net).eval()
    reference = Reference(actor)
    batch = lay_out_rows([TokenRow((5, 6, 7), (8, 9))])
    before = actor(**batch).logprobs_BA.detach()
    with torch.no_grad():
        for parameter in model.net.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    torch.testing.assert_close(reference.logprobs(batch), before)
    assert (actor(**batch).logprobs_BA - before).abs().max() > 1e-3


@pytest.mark.parametrize("rank", [4, 0])
def test_every_sample_is_recorded_and_the_kl_starts_at_zero(
    start: Checkpoint, tmp_path: Path, rank: int
) -> None:
    kept: list[Any] = []
    settings = changed(lora_rank=rank, learning_rate=1e-2 if rank else 1e-3)
    trained = train_ppo(start, PROMPTS, spaces, settings, tmp_path, keep=kept.extend)
    assert [r.step for r in kept] == [1] * 6 + [2] * 6 and tuple(kept) == trained.rollouts
    assert all(r.reward == r.completion.count(" ") for r in kept)
    first, second = trained.curve
    assert first["kl"] == pytest.approx(0.0, abs=1e-4) and abs(second["kl"]) > 1e-3
    assert 0 < first["tokens"] <= 6 and 0 < first["entropy"] < 6
    assert trained.tokens > 0 and trained.checkpoint.digest


def test_the_kl_reference_is_the_start_with_its_adapters(start: Checkpoint, tmp_path: Path) -> None:
    examples = [ChatExample(PROMPTS[0].messages, "good apple")] * 32
    sft = train_sft(start, examples, TrainSettings(learning_rate=1e-2), tmp_path / "sft")
    trained = train_ppo(sft.checkpoint, PROMPTS, spaces, changed(steps=1), tmp_path / "rl")
    assert trained.curve[0]["kl"] == pytest.approx(0.0, abs=1e-4)
    assert trained.checkpoint.adapters == (str(tmp_path / "sft"), str(tmp_path / "rl"))


def test_the_same_seed_gives_the_same_bytes_in_one_part_or_several(
    start: Checkpoint, tmp_path: Path
) -> None:
    first = train_ppo(start, PROMPTS, spaces, QUICK, tmp_path / "a")
    again = train_ppo(start, PROMPTS, spaces, QUICK, tmp_path / "b")
    assert first.rollouts == again.rollouts
    assert first.checkpoint.digest == again.checkpoint.digest
    other = train_ppo(start, PROMPTS, spaces, changed(seed=1), tmp_path / "c")
    assert other.rollouts != first.rollouts


def test_one_part_is_rewarded_while_the_next_is_sampled(start: Checkpoint, tmp_path: Path) -> None:
    sizes, threads = [], set()

    def slow(conversations: Any, answers: list[str]) -> list[float | None]:
        sizes.append(len(answers))
        threads.add(threading.current_thread() is threading.main_thread())
        return spaces(conversations, answers)

    trained = train_ppo(start, PROMPTS, slow, changed(overlap=3, steps=1), tmp_path)
    assert (sizes, threads) == ([2, 2, 2], {False})
    assert [r.reward for r in trained.rollouts] == [
        float(r.completion.count(" ")) for r in trained.rollouts
    ]


def test_reinforce_is_ppo_without_its_caution() -> None:
    found = changed(method="reinforce", whiten=True).resolved()
    assert (found.epochs, found.minibatch, found.clip, found.value_clip) == (1, 6, 0.0, 0.0)
    assert (found.lam, found.whiten) == (1.0, False)
    assert QUICK.resolved() == QUICK


def test_it_stops_at_the_peak_and_goes_back_to_the_weights_of_the_peak(
    start: Checkpoint, tmp_path: Path
) -> None:
    """The held-out scorer likes the start, and everything later less and less."""
    calls: list[int] = []

    def sours(conversations: Any, answers: list[str]) -> list[float | None]:
        calls.append(1)
        return [-float(len(calls)) + i / 100 for i, _ in enumerate(answers)]

    monitor = Monitor(MonitorSettings(window=1), held_out=sours)
    trained = train_ppo(
        start, PROMPTS, spaces, changed(steps=9), tmp_path / "stopped", monitor=monitor
    )
    assert len(trained.curve) == 2 and monitor.notes()["peak_step"] == 1
    # The peak is the policy that was sampled first: the start, with an adapter that does nothing.
    model = hf.load(trained.checkpoint.base, adapters=trained.checkpoint.adapters)
    plain = hf.load(start.base)
    for one, other in zip(model.net.parameters(), plain.net.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    assert trained.rollouts[0].components["held_out"] == -1.0


def test_what_cannot_work_is_said(start: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="too few"):
        train_ppo(start, PROMPTS[:2], spaces, QUICK, tmp_path)
    with pytest.raises(TrainingError, match="none of 12 samples"):
        train_ppo(start, PROMPTS, lambda c, a: [None] * len(a), QUICK, tmp_path)
    with pytest.raises(TrainingError, match="smaller learning_rate"):
        train_ppo(start, PROMPTS, lambda c, a: [float("nan")] * len(a), QUICK, tmp_path)
