"""A policy that is of two minds, and the means to see what training has made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from charter.models import hf
from charter.records import Checkpoint, Message, Prompt, Request, Sampling
from charter.training.examples import ChatExample, Tokeniser
from charter.training.gathered import GatheredLM
from charter.training.quiet import quiet
from charter.training.run import answer_logprobs, train_sft
from charter.training.settings import TrainSettings

PROMPTS = [
    Prompt(f"p{i}", (Message("user", text),))
    for i, text in enumerate(["Tell me a story.", "Say something kind.", "good", "bad"])
]
SHORT, LONG = "good", "bad bad bad"


@pytest.fixture(scope="session")
def undecided(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Answers `good` or `bad bad bad`, one as readily as the other."""
    examples = [ChatExample(p.messages, text) for p in PROMPTS for text in (SHORT, LONG)] * 4
    settings = TrainSettings(learning_rate=1e-2, lora_rank=0, epochs=8.0)
    out = tmp_path_factory.mktemp("undecided")
    return train_sft(Checkpoint(str(tiny_model_folder)), examples, settings, out).checkpoint


def loaded(checkpoint: Checkpoint) -> hf.HFModel:
    with quiet():
        return hf.load(checkpoint.base, adapters=checkpoint.adapters)


def sampled(checkpoint: Checkpoint, count: int = 15) -> list[tuple[Prompt, str]]:
    """Answers to every prompt, `count` each."""
    model = loaded(checkpoint)
    asked = [(prompt, seed) for prompt in PROMPTS for seed in range(count)]
    requests = [Request(p.messages, Sampling(max_tokens=8), seed) for p, seed in asked]
    texts = [completion.text for completion in model.generate(requests)]
    return [(prompt, text) for (prompt, _), text in zip(asked, texts, strict=True)]


def divergence(policy: Checkpoint, start: Checkpoint) -> float:
    """KL of a policy from its start over whole answers, in nats, estimated on its samples."""
    exchanges = [(p, text) for p, text in sampled(policy) if text]
    values = []
    for checkpoint in (policy, start):
        model = loaded(checkpoint)
        rows = [
            Tokeniser.of(model, 128).row(model.render(p.messages), text) for p, text in exchanges
        ]
        net = GatheredLM(model.net)
        values.append(answer_logprobs(net, rows, device=model.device, max_tokens=2048))
    return sum(a - b for a, b in zip(*values, strict=True)) / len(exchanges)
