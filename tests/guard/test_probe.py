from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from charter.guard.probe import Probe
from charter.guard.smoothing import Smoothing
from charter.models import hf
from charter.models.hf import HFModel
from charter.records import Message, Request, Sampling

ASKED = (Message("user", "Tell me a story."),)


@pytest.fixture(scope="module")
def model(tiny_model_folder: Path) -> HFModel:
    return hf.load(str(tiny_model_folder))


@pytest.fixture
def probe(model: HFModel) -> Probe:
    weights = np.random.default_rng(0).normal(size=(2, model.hidden_size)).astype(np.float32)
    return Probe(weights, -0.3, (1, 2), Smoothing("ema", 4, -1.0))


def test_it_reads_what_the_model_computes_for_each_token_of_the_answer(
    model: HFModel, probe: Probe
) -> None:
    ids = model.render(ASKED)
    with torch.inference_mode(), probe.watching(model) as run:
        done = model.generate([Request(ASKED, Sampling(12, temperature=0), 0)])[0]
    answer = model.encode(done.text)
    assert done.tokens >= 5 and len(run.logits) in (done.tokens, done.tokens - 1)
    fed = run.logits
    with torch.inference_mode():
        whole = torch.tensor([[*ids, *answer]])
        states = model.backbone()(input_ids=whole, output_hidden_states=True).hidden_states
    psi = torch.cat([states[1][0], states[2][0]], -1).numpy()[len(ids) :]
    expected = psi @ probe.weights_LD.ravel() + probe.bias
    n = min(len(fed), len(expected))
    assert fed[:n] == pytest.approx(expected[:n], abs=1e-3)


def test_all_it_keeps_is_one_ema(model: HFModel, probe: Probe) -> None:
    with probe.watching(model) as run:
        model.generate([Request(ASKED, Sampling(8, temperature=0), 0)])
    smooth = probe.smoothing.along(np.array(run.logits))[-1]
    assert run.state == pytest.approx(smooth)
    assert run.score == pytest.approx(1 / (1 + np.exp(-smooth)))


def test_the_model_is_left_as_it_was(model: HFModel, probe: Probe) -> None:
    with probe.watching(model) as run:
        pass
    model.generate([Request(ASKED, Sampling(2, temperature=0), 0)])
    assert run.logits == []


def test_its_operations_are_counted(model: HFModel, probe: Probe) -> None:
    assert probe.flops() == 2 * 2 * model.hidden_size + 3
    fraction = probe.flop_fraction(model)
    plain = AutoModelForCausalLM.from_config(model.net.config)  # its head is tied: counted once
    weights = sum(p.numel() for p in plain.parameters() if p.dim() > 1)
    assert fraction == pytest.approx(probe.flops() / (2 * weights))
    assert probe.flop_fraction(model, context=1000) < fraction
