"""Memory by stage, against sizes that can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from msgspec.structs import replace

from charter.estimate.counts import Counts
from charter.estimate.machine import Machine
from charter.estimate.memory import Memory, MemoryPlan
from charter.estimate.shape import EMBEDDED_SHAPE, ModelShape, shape_of
from charter.estimate.work import Planner
from charter.models import hf
from charter.recipe import Recipe, load

COUNTS = Counts(10, 10, 10, 10, prompt_tokens=100)
EIGHT = ModelShape(8e9, 32, 4096, 1024, 128_256, "name")
CPU, GPU = Machine("cpu", 32, False), Machine("gpu", 80, True)


def plan(recipe: Recipe, shape: ModelShape = EIGHT, machine: Machine = GPU) -> MemoryPlan:
    return MemoryPlan(recipe, shape, machine, Planner(recipe, COUNTS))


def of(stage: str, *overrides: str, machine: Machine = GPU) -> Memory:
    return plan(load("llama-8b", overrides), machine=machine).of(stage)


def test_all_weights_cost_sixteen_bytes_each_and_an_adapter_hardly_more_than_four() -> None:
    full = of("sft", "sft.train.lora_rank=0", machine=CPU)
    assert full.weights + full.optimizer == pytest.approx(8 * 16)
    adapter = of("sft", machine=CPU)
    assert adapter.weights == pytest.approx(8 * 4, rel=0.01)
    assert adapter.optimizer < 1


def test_a_gpu_trains_on_half_the_activations_and_holds_16_bit_copies() -> None:
    on_gpu, on_cpu = of("sft"), of("sft", machine=CPU)
    assert on_gpu.weights - on_cpu.weights == pytest.approx(8 * 2)
    logits = 2 * 512 * 128_256 * 4 / 1e9
    assert on_cpu.activations - logits == pytest.approx(2 * (on_gpu.activations - logits))


def test_adapting_the_last_blocks_keeps_the_activations_of_those() -> None:
    whole, last = of("sft"), of("sft", "sft.train.lora_last_layers=8")
    logits = 2 * 512 * 128_256 * 4 / 1e9
    assert last.activations - logits == pytest.approx((whole.activations - logits) / 4)


def test_what_rewards_and_what_ties_are_models_too() -> None:
    ppo = of("rl", "rl.method=ppo")
    assert ppo.weights == pytest.approx(8 * 4 * 2 + 8 * 2, rel=0.01)
    without_adapter = of("rl", "rl.method=ppo", "rl.ppo.lora_rank=0")
    assert without_adapter.weights == pytest.approx(8 * 4 * 3 + 8 * 2)
    paid_by_a_server = of("rl", "rl.method=ppo", "rl.reward=server")
    assert paid_by_a_server.weights == pytest.approx(8 * 4 + 8 * 2, rel=0.01)


def test_a_judge_behind_an_endpoint_takes_no_memory_here() -> None:
    assert of("feedback").total == 0
    local = of("feedback", "feedback.judge=multiple-choice")
    assert local.weights == pytest.approx(8 * 4)


def test_keys_and_values_of_the_rows_that_are_sampled() -> None:
    # 48 rows of 100 + 192 tokens; keys and values, 32 blocks, 1024 wide, four bytes.
    assert of("pairs").cache == pytest.approx(48 * 292 * 2 * 32 * 1024 * 4 / 1e9)


def test_the_second_arm_needs_what_the_first_does() -> None:
    twin = plan(
        load("twin", ["twin.judge=multiple-choice", "feedback.pairs=", "feedback.pairs_limit=0"])
    )
    assert twin.of("preference_rlhf") == twin.of("preference")


def test_activations_are_of_the_size_that_autograd_keeps(tiny_model_folder: Path) -> None:
    """The formula against the bytes that a real backward pass holds on to."""
    model = hf.load(str(tiny_model_folder))
    model.net.requires_grad_(True)
    saved: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    own = {p.untyped_storage().data_ptr() for p in model.net.parameters()}
    ids = torch.randint(0, 300, (4, 200))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.backbone()(input_ids=ids, use_cache=False)
    measured = sum(size for at, size in saved.items() if at not in own)
    shape = shape_of(Recipe("charter/recipe/1", "r", model=str(tiny_model_folder)))
    formula = ids.numel() * shape.layers * shape.width * 34 * 2
    assert 0.4 < measured / formula < 1.6, measured / formula


def test_the_parts_make_the_total() -> None:
    parts = Memory(1.0, 2.0, 3.0, 4.0)
    assert parts.total == 10.0
    assert replace(parts, cache=0.0).total == 6.0
    assert plan(load("smoke"), EMBEDDED_SHAPE, CPU).of("sft").total < 3
