from __future__ import annotations

import pytest

from charter.errors import TrainingError
from charter.models import hf
from charter.records import Checkpoint, Message, Prompt, Request, Sampling
from charter.training.examples import ChatExample
from charter.training.online import train_online
from charter.training.quiet import quiet
from charter.training.run import train_sft
from charter.training.settings import OnlineSettings, TrainSettings

PROMPTS = [
    Prompt(f"p{i}", (Message("user", text),))
    for i, text in enumerate(["Tell me a story.", "Say something kind.", "good", "bad"])
]
QUICK = OnlineSettings(
    steps=2, prompts_per_step=2, group=4, max_new_tokens=6, lora_rank=4, learning_rate=1e-3
)


def spaces(conversations, answers):
    """Something a random model can learn to do more of."""
    return [float(answer.count(" ")) for answer in answers]


@pytest.fixture
def start(tiny_model_folder):
    return Checkpoint(str(tiny_model_folder))


@pytest.fixture(scope="module")
def undecided(tiny_model_folder, tmp_path_factory):
    """A policy that answers `good` or `bad`, one as readily as the other."""
    examples = [ChatExample(p.messages, word) for p in PROMPTS for word in ("good", "bad")] * 4
    settings = TrainSettings(learning_rate=1e-2, lora_rank=0, epochs=8.0)
    out = tmp_path_factory.mktemp("undecided")
    return train_sft(Checkpoint(str(tiny_model_folder)), examples, settings, out).checkpoint


@pytest.mark.parametrize("method", ["grpo", "rloo"])
@pytest.mark.parametrize("rank", [16, 0])
def test_the_reward_rises(undecided, tmp_path, method, rank):
    def goodness(conversations, answers):
        return [float(answer.startswith("good")) for answer in answers]

    settings = OnlineSettings(
        method=method,
        steps=20,
        prompts_per_step=4,
        group=4,
        max_new_tokens=4,
        learning_rate=3e-2 if rank else 3e-3,
        lora_rank=rank,
    )
    trained = train_online(undecided, PROMPTS, goodness, settings, tmp_path)
    rewards = [row["reward"] for row in trained.curve]
    assert 0.2 < sum(rewards[:3]) / 3 < 0.7
    assert sum(rewards[-3:]) / 3 > 0.8
    with quiet():
        model = hf.load(trained.checkpoint.base, adapters=trained.checkpoint.adapters)
    requests = [Request(PROMPTS[0].messages, Sampling(max_tokens=4), seed) for seed in range(40)]
    answers = [completion.text for completion in model.generate(requests)]
    assert sum(goodness([], answers)) / 40 > 0.75


@pytest.mark.parametrize("method", ["grpo", "rloo"])
@pytest.mark.parametrize("rank", [4, 0])
def test_every_sample_is_recorded_and_the_kl_starts_at_zero(start, tmp_path, method, rank):
    settings = OnlineSettings(
        method=method,
        steps=3,
        prompts_per_step=2,
        group=4,
        max_new_tokens=6,
        lora_rank=rank,
        learning_rate=1e-2,
        beta=0.05,
    )
    kept = []
    trained = train_online(start, PROMPTS, spaces, settings, tmp_path, keep=kept.extend)
    assert [r.step for r in trained.rollouts] == [1] * 8 + [2] * 8 + [3] * 8
    assert tuple(kept) == trained.rollouts
    assert {r.prompt for r in trained.rollouts} <= {p.id for p in PROMPTS}
    assert all(r.reward == r.completion.count(" ") for r in trained.rollouts)
    kl = [row["kl"] for row in trained.curve]
    assert kl[0] == pytest.approx(0, abs=1e-5) and abs(kl[-1]) > 1e-4


@pytest.mark.parametrize("rank", [4, 0])
def test_the_kl_reference_is_the_start_with_its_adapters(start, tmp_path, rank):
    examples = [ChatExample(PROMPTS[0].messages, "good apple")] * 32
    sft = train_sft(start, examples, TrainSettings(learning_rate=1e-2), tmp_path / "sft")
    settings = OnlineSettings(
        steps=1, prompts_per_step=2, group=4, max_new_tokens=6, lora_rank=rank
    )
    trained = train_online(sft.checkpoint, PROMPTS, spaces, settings, tmp_path / "rl")
    # Against the bare base it would be far from zero.
    assert trained.curve[0]["kl"] == pytest.approx(0, abs=1e-4)
    if rank:
        assert trained.checkpoint.adapters == (str(tmp_path / "sft"), str(tmp_path / "rl"))


@pytest.mark.parametrize("method", ["grpo", "rloo"])
def test_a_missing_reward_is_left_out_not_counted_as_zero(start, tmp_path, method):
    def partly(conversations, answers):
        assert conversations[0][-1].role == "user"
        return [None if i % 4 == 0 else 5.0 for i in range(len(answers))]

    settings = OnlineSettings(
        method=method, steps=2, prompts_per_step=2, group=4, max_new_tokens=6, lora_rank=4, beta=0.0
    )
    trained = train_online(start, PROMPTS, partly, settings, tmp_path)
    assert sum(r.reward is None for r in trained.rollouts) == 4
    # All that could be scored is worth the same: no advantage, hence no gradient. A None taken
    # for zero would have made one.
    assert [row["reward"] for row in trained.curve] == [5.0, 5.0]
    assert [row["grad_norm"] for row in trained.curve] == pytest.approx([0.0, 0.0], abs=1e-6)


def test_nothing_is_printed_not_even_a_sample_without_a_reward(start, tmp_path, capfd):
    train_online(start, PROMPTS, lambda c, a: [None, *spaces(c[1:], a[1:])], QUICK, tmp_path)
    assert capfd.readouterr() == ("", "")


def test_the_same_seed_gives_the_same_rollouts(start, tmp_path):
    first = train_online(start, PROMPTS, spaces, QUICK, tmp_path / "a")
    again = train_online(start, PROMPTS, spaces, QUICK, tmp_path / "b")
    assert first.rollouts == again.rollouts
    assert first.checkpoint.digest == again.checkpoint.digest


def test_accumulation_keeps_the_samples_of_a_step_together(start, tmp_path):
    sizes = []

    def count(conversations, answers):
        sizes.append(len(answers))
        return spaces(conversations, answers)

    settings = OnlineSettings(
        steps=2, prompts_per_step=2, group=4, max_new_tokens=4, accumulation=4, lora_rank=4
    )
    trained = train_online(start, PROMPTS, count, settings, tmp_path)
    assert sizes == [8, 8] and len(trained.curve) == 2


def test_what_cannot_work_is_said_before_or_after_not_hidden(start, tmp_path):
    with pytest.raises(TrainingError, match="too few"):
        train_online(start, PROMPTS[:1], spaces, QUICK, tmp_path)
    with pytest.raises(TrainingError, match="accumulation=3"):
        odd = OnlineSettings(prompts_per_step=2, group=4, accumulation=3)
        train_online(start, PROMPTS, spaces, odd, tmp_path)
    with pytest.raises(TrainingError, match="none of 16 samples"):
        train_online(start, PROMPTS, lambda c, a: [None] * len(a), QUICK, tmp_path)
