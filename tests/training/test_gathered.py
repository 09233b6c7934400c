from __future__ import annotations

import pytest
import torch

from charter.errors import ModelError
from charter.models import hf
from charter.training.examples import TokenRow
from charter.training.gathered import GatheredLM
from charter.training.objectives import lay_out_rows
from charter.training.policy import trainable
from charter.training.settings import TrainSettings

ROWS = [TokenRow((1, 5, 9, 40), (7, 8, 2)), TokenRow((1, 30), (12, 13, 14, 15, 2))]


@pytest.fixture
def net(tiny_model_folder):
    return hf.load(str(tiny_model_folder), plain=True).net


def reference(net, row):
    """The plain way: each row alone, all logits, a log-softmax over everything."""
    ids = torch.tensor([row.prompt + row.answer])
    logprobs = net(input_ids=ids).logits[0].float().log_softmax(-1)
    places = range(len(row.prompt), len(row))
    return sum(logprobs[place - 1, ids[0, place]] for place in places)


@pytest.mark.parametrize("chunk", [512, 3])
def test_sums_equal_a_full_logits_computation(net, chunk):
    sums, counts = GatheredLM(net, chunk=chunk)(**lay_out_rows(ROWS))
    expected = torch.stack([reference(net, row) for row in ROWS])
    torch.testing.assert_close(sums, expected, rtol=1e-5, atol=1e-5)
    assert counts.tolist() == [3, 5]


@pytest.mark.parametrize("chunk", [512, 3])
def test_gradients_equal_a_full_logits_computation(net, chunk):
    def gradients(total):
        net.zero_grad()
        total.backward()
        return {n: p.grad.clone() for n, p in net.named_parameters()}

    ours = gradients(GatheredLM(net, chunk=chunk)(**lay_out_rows(ROWS))[0].sum())
    theirs = gradients(sum(reference(net, row) for row in ROWS))
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-3, atol=1e-4)


def test_prompt_tokens_carry_no_loss(net):
    # The last prompt token's own likelihood must not count, nor any before it.
    same = lay_out_rows(ROWS[:1])
    hidden_targets = same["target_mask"].clone()
    assert hidden_targets[0].tolist() == [False] * 4 + [True] * 3
    sums, _ = GatheredLM(net)(**same)
    everything = {**same, "target_mask": torch.ones_like(hidden_targets)}
    all_sums, all_counts = GatheredLM(net)(**everything)
    assert all_counts.tolist() == [6]
    assert all_sums < sums


def test_an_adapter_is_part_of_what_runs(net):
    wrapped = trainable(net, TrainSettings(lora_rank=4))
    lm, batch = GatheredLM(wrapped), lay_out_rows(ROWS)
    before, _ = lm(**batch)
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    after, _ = lm(**batch)
    assert not torch.allclose(before, after)


def test_an_architecture_that_bends_its_logits_is_refused(net):
    net.config.final_logit_softcapping = 30.0
    with pytest.raises(ModelError, match="final_logit_softcapping"):
        GatheredLM(net)
