"""What a machine can do: stated in the recipe, or measured here.

Owns the rates that turn tokens into seconds, and the memory there is. Where the model lies on this
machine its own rates are measured; where it does not, they follow from two figures of the machine,
the rate of matrix products and the memory bandwidth.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import torch

from charter.estimate.shape import ModelShape, is_here
from charter.models import hf
from charter.plan import MachineConfig, PlanConfig
from charter.recipe import Recipe
from charter.records import Message, Record, Request, Sampling

HERE = "this machine"
BATCH_ROWS = 48
"""Rows that are sampled together (see `models.hf`)."""
WEIGHT_BYTES = 4
"""Models are loaded in float32."""
_PROBE_ROWS, _PROBE_TOKENS = 32, 12
_SQUARE, _COPY = 1024, 1 << 26
_TYPICAL_CONTEXT = 512


class Rates(Record, frozen=True):
    """Tokens a second."""

    generate: float
    read: float
    train: float
    remote: float = 0.0
    """Of models behind endpoints; 0: not known."""


class Machine(Record, frozen=True):
    """The device that an estimate is for."""

    name: str
    memory_gb: float
    gpu: bool


def machine_of(plan: PlanConfig) -> Machine:
    """The stated machine, or this one."""
    if plan.machine is not None:
        return Machine(plan.machine.name, plan.machine.memory_gb, True)
    if torch.cuda.is_available():
        found = torch.cuda.get_device_properties(0)
        return Machine(found.name, found.total_memory / 1e9, True)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(HERE, pages / 1e9, False)


def rates_of(recipe: Recipe, shape: ModelShape) -> tuple[Rates, str]:
    """Tokens a second, and where they come from in words.

    Raises:
        CharterError: a model that lies here cannot be loaded.
    """
    plan = recipe.plan
    if plan.machine is not None:
        shares = f"{plan.compute_share:.0%} of peak, {plan.bandwidth_share:.0%} of bandwidth"
        return assumed(shape, plan.machine, plan), f"assumed for {plan.machine.name} ({shares})"
    if is_here(recipe.model):
        measured = measure(hf.load(recipe.model))
        return _with_remote(measured, plan), "measured now, on this model and machine"
    here = probe()
    rates = assumed(shape, here, PlanConfig(compute_share=1.0, bandwidth_share=1.0))
    return _with_remote(rates, plan), "told from this machine's matrix products and bandwidth"


def assumed(shape: ModelShape, machine: MachineConfig, plan: PlanConfig) -> Rates:
    """Rates that follow from a machine's figures: two operations a weight and token forward, four
    backward; a step of generation reads every weight and every row's keys and values once."""
    cached = BATCH_ROWS * _TYPICAL_CONTEXT * kv_bytes_a_token(shape)
    bytes_a_step = WEIGHT_BYTES * shape.parameters + cached
    by_memory = BATCH_ROWS * machine.gb_s * 1e9 * plan.bandwidth_share / bytes_a_step
    reading, training = (
        peak * 1e12 * plan.compute_share / shape.parameters
        for peak in (machine.tflops_float32, machine.tflops)
    )
    return Rates(min(by_memory, reading / 2), reading / 2, training / 6, plan.remote_tokens_s)


def kv_bytes_a_token(shape: ModelShape) -> float:
    """Keys and values of one token in all blocks."""
    return 2.0 * shape.layers * shape.kv_width * WEIGHT_BYTES


def probe() -> MachineConfig:
    """Matrix-product rate and memory bandwidth of this machine, measured in a moment."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    square = torch.rand(_SQUARE, _SQUARE, device=device)
    products = _best(lambda: (square @ square).sum().item())
    block = torch.zeros(_COPY // 4, device=device)
    copies = _best(lambda: block.clone()[-1].item())
    memory = machine_of(PlanConfig()).memory_gb
    tflops = 2 * _SQUARE**3 / products / 1e12
    return MachineConfig(HERE, memory, tflops, tflops, 2 * _COPY / copies / 1e9)


def _best(work: Callable[[], object], times: int = 5) -> float:
    """Seconds of the quickest of some calls."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def _with_remote(rates: Rates, plan: PlanConfig) -> Rates:
    return Rates(rates.generate, rates.read, rates.train, plan.remote_tokens_s)


def measure(model: hf.HFModel) -> Rates:
    """Rates of generation, reading and adapter training on this machine."""
    message = Message("user", "Describe a walk through a town in autumn, street by street.")
    sampling = Sampling(max_tokens=_PROBE_TOKENS)
    requests = [Request((message,), sampling, seed) for seed in range(_PROBE_ROWS)]
    model.generate(requests[:4])
    started = time.perf_counter()
    made = model.generate(requests)
    generated = sum(completion.tokens for completion in made)
    generate = generated / (time.perf_counter() - started)
    return Rates(generate, _reading_rate(model), _training_rate(model))


def _rows(model: hf.HFModel) -> torch.Tensor:
    top = min(1000, int(model.net.config.vocab_size))
    return torch.randint(0, top, (8, 128), device=model.device)


def _reading_rate(model: hf.HFModel) -> float:
    ids = _rows(model)
    with torch.inference_mode():
        started = time.perf_counter()
        model.backbone()(input_ids=ids, use_cache=False)
    return ids.numel() / (time.perf_counter() - started)


def _training_rate(model: hf.HFModel) -> float:
    """Forward and backward through every block; weights' own gradients are left out, as in LoRA."""
    ids = _rows(model)
    embedded = model.net.get_input_embeddings()(ids).detach().requires_grad_()
    model.net.requires_grad_(False)
    started = time.perf_counter()
    hidden = model.backbone()(inputs_embeds=embedded, use_cache=False).last_hidden_state
    hidden.float().mean().backward()
    return ids.numel() / (time.perf_counter() - started)
