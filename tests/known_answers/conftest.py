"""A policy that is of two minds, and the means to see what training has made of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from charter.models import hf
from charter.records import Checkpoint, Message, Prompt, Request, Sampling
from charter.training.examples import ChatExample, Tokeniser
from charter.training.quiet import quiet
from charter.training.run import train_sft
from charter.training.settings import TrainSettings

PROMPTS = [
    Prompt(f"p{i}", (Message("user", text),))
    for i, text in enumerate(["Tell me a story.", "Say something kind.", "good", "bad"])
]
TEXTS = ("good", "good apple river", "bad", "bad stone cloud")


@pytest.fixture(scope="session")
def undecided(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Gives each of four answers as readily as the others: half have the word, half are short."""
    examples = [ChatExample(p.messages, text) for p in PROMPTS for text in TEXTS] * 4
    settings = TrainSettings(learning_rate=1e-2, lora_rank=0, epochs=8.0)
    out = tmp_path_factory.mktemp("undecided")
    return train_sft(Checkpoint(str(tiny_model_folder)), examples, settings, out).checkpoint


def loaded(checkpoint: Checkpoint) -> hf.HFModel:
    with quiet():
        return hf.load(checkpoint.base, adapters=checkpoint.adapters)


def sampled(checkpoint: Checkpoint, count: int = 15) -> list[tuple[Prompt, str]]:
    """Answers to every prompt, `count` each."""
    model = loaded(checkpoint)
    asked = [prompt for prompt in PROMPTS for _ in range(count)]
    requests = [Request(p.messages, Sampling(max_tokens=8), n) for n, p in enumerate(asked)]
    return [(p, one.text) for p, one in zip(asked, model.generate(requests), strict=True)]


def divergence(policy: Checkpoint, start: Checkpoint) -> float:
    """KL of a policy from its start over whole answers, in nats.

    Exact at each token, so never below 0; the mean is taken over the policy's own samples.
    """
    one, other = loaded(policy), loaded(start)
    tokeniser, total = Tokeniser.of(one, 128), 0.0
    exchanges = [(p, text) for p, text in sampled(policy) if text]
    for prompt, text in exchanges:
        row = tokeniser.row(one.render(prompt.messages), text)
        ids = torch.tensor([row.prompt + row.answer])
        with torch.no_grad():
            p, q = (m.net(input_ids=ids).logits[0].log_softmax(-1) for m in (one, other))
        total += float((p.exp() * (p - q)).sum(-1)[len(row.prompt) - 1 : -1].sum())
    return total / len(exchanges)
