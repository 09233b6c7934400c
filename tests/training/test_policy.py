from __future__ import annotations

import json

import pytest
import torch
from peft import PeftModel

from charter.errors import ModelError
from charter.models import hf
from charter.records import Checkpoint, Message
from charter.training.policy import load_policy, save_policy
from charter.training.quiet import quiet
from charter.training.settings import TrainSettings

IDS = torch.tensor([[1, 5, 9, 40, 7]])


@pytest.fixture
def start(tiny_model_folder):
    return Checkpoint(str(tiny_model_folder))


def moving(model):
    return {name for name, weight in model.net.named_parameters() if weight.requires_grad}


def shake(model):
    """Give the trainable weights something to say."""
    with torch.no_grad():
        for weight in model.net.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight) * 0.05)


def test_a_fresh_adapter_changes_nothing_and_sits_on_every_linear_layer_of_the_blocks(start):
    model = load_policy(start, TrainSettings(lora_rank=4))
    plain = hf.load(start.base)
    torch.testing.assert_close(model.net(IDS).logits, plain.net(IDS).logits)
    # Two blocks, seven linear layers each, two matrices an adapter; nothing else moves.
    assert len(moving(model)) == 2 * 7 * 2
    assert all("lora_" in name for name in moving(model))


def test_only_the_last_blocks_are_adapted_when_asked(start):
    names = moving(load_policy(start, TrainSettings(lora_rank=4, lora_last_layers=1)))
    assert names and all("layers.1." in name for name in names)


def test_rank_zero_trains_all_weights(start):
    model = load_policy(start, TrainSettings(lora_rank=0))
    assert not isinstance(model.net, PeftModel)
    assert all(weight.requires_grad for weight in model.net.parameters())


@pytest.mark.parametrize("rank", [4, 0])
def test_what_was_saved_loads_as_what_was_trained(start, tmp_path, rank):
    model = load_policy(start, TrainSettings(lora_rank=rank))
    shake(model)
    checkpoint = save_policy(model, start, tmp_path / "out")
    with quiet():
        loaded = hf.load(checkpoint.base, adapters=checkpoint.adapters)
    torch.testing.assert_close(loaded.net(IDS).logits, model.net(IDS).logits, rtol=1e-4, atol=1e-4)
    assert checkpoint.digest == hf.revision(tmp_path / "out")
    assert loaded.render([Message("user", "good")]) == model.render([Message("user", "good")])


def test_an_adapter_upon_an_adapter_keeps_both(start, tmp_path):
    first = load_policy(start, TrainSettings(lora_rank=4))
    shake(first)
    middle = save_policy(first, start, tmp_path / "first")
    with quiet():
        second = load_policy(middle, TrainSettings(lora_rank=2, seed=1))
    torch.testing.assert_close(second.net(IDS).logits, first.net(IDS).logits, rtol=1e-4, atol=1e-4)
    shake(second)
    last = save_policy(second, middle, tmp_path / "second")
    assert last.adapters == (str(tmp_path / "first"), str(tmp_path / "second"))
    with quiet():
        loaded = hf.load(last.base, adapters=last.adapters)
    torch.testing.assert_close(loaded.net(IDS).logits, second.net(IDS).logits, rtol=1e-4, atol=1e-4)


def test_an_adapters_config_is_written_in_a_fixed_order(start, tmp_path):
    save_policy(load_policy(start, TrainSettings(lora_rank=4)), start, tmp_path)
    modules = json.loads((tmp_path / "adapter_config.json").read_text())["target_modules"]
    assert modules == sorted(modules) and len(modules) == 7


def test_a_start_that_is_not_there_is_a_model_error(tmp_path):
    with pytest.raises(ModelError):
        load_policy(Checkpoint(str(tmp_path / "nothing")), TrainSettings())
