"""Likelihood of answers agrees with one whole pass each, whatever is in the batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from charter.models import hf
from charter.models.likelihood import mean_logprobs
from charter.records import Message

ASK = (Message("user", "What is a good plan?"),)
TALK = (Message("user", "bread"), Message("assistant", "stone"), Message("user", "river?"))


def test_the_mean_over_the_tokens_of_the_answer(tiny_model_folder: Path) -> None:
    model = hf.load(str(tiny_model_folder), batch_tokens=64)
    exchanges = [
        (ASK, "A good story."),
        (TALK, "no"),
        (ASK, "apple stone river cloud"),
        (TALK, "x"),
    ]
    for (messages, answer), found in zip(exchanges, mean_logprobs(model, exchanges), strict=True):
        stem, tokens = model.render(messages), model.encode(answer)
        with torch.inference_mode():
            logits = model.net(input_ids=torch.tensor([[*stem, *tokens]])).logits[0]
        rows = logits.log_softmax(-1)[len(stem) - 1 : -1]
        expected = rows.gather(1, torch.tensor(tokens)[:, None]).mean()
        assert found == pytest.approx(float(expected), abs=1e-4)


def test_the_same_answer_twice_is_as_likely_twice(tiny_model_folder: Path) -> None:
    model = hf.load(str(tiny_model_folder))
    one, other = mean_logprobs(model, [(ASK, "bread"), (ASK, "bread")])
    assert one == other
