"""What can be set about training: one record a method, every field with its meaning under it.

Owns names, defaults and ranges. Knows no model and no data.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from charter.records import Record

Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, lt=1)]
NotNegative = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]
CountOrNone = Annotated[int, Meta(ge=0)]


class Tuning(Record, frozen=True):
    """What every method has: the optimiser (AdamW), its schedule, and which weights move."""

    learning_rate: Positive = 5e-4
    """Peak learning rate. The default suits LoRA; full fine-tuning wants ten times less."""
    warmup_ratio: Share = 0.05
    """Share of the steps over which the learning rate rises from zero."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate goes on after warming up."""
    weight_decay: NotNegative = 0.0
    """AdamW's decoupled weight decay."""
    max_grad_norm: Positive = 1.0
    """Gradients are scaled down to this norm."""
    lora_rank: CountOrNone = 16
    """Rank of the low-rank adapter (Hu et al. 2021); 0 trains all weights."""
    lora_alpha: Count = 32
    """The adapter's output is scaled by `lora_alpha / lora_rank`."""
    lora_dropout: Share = 0.0
    """Dropout on the adapter's input."""
    lora_last_layers: CountOrNone = 0
    """Adapt the last n blocks only, so that the backward pass stops there; 0 adapts all."""
    seed: CountOrNone = 0
    """Seed of the adapter's first weights, the order of the data, dropout and sampling."""
    report_to: tuple[str, ...] = ()
    """Trackers that transformers knows, such as `tensorboard`, `wandb` or `trackio`; none by
    default."""
    save_steps: CountOrNone = 50
    """Write an intermediate checkpoint every so many steps; a killed run goes on from the last one
    and ends as if it had not been killed. 0 writes none."""


class TrainSettings(Tuning, frozen=True):
    """Training on data that is there already: imitation, preferences, DPO."""

    epochs: Positive = 1.0
    """Passes over the data; fractions are allowed."""
    batch_size: Count = 8
    """Examples (or pairs) a backward pass on each device."""
    accumulation: Count = 1
    """Backward passes an optimiser step: as good as one pass over all of its examples."""
    max_length: Annotated[int, Meta(ge=2)] = 512
    """Tokens of prompt and answer together; what is too much is cut from the prompt's start."""


class DPOSettings(Record, frozen=True):
    """Direct preference optimisation on soft labels."""

    beta: Positive = 0.1
    """Strength of the tie to the reference policy: the larger, the closer it stays."""
    loss: Literal["dpo", "ipo"] = "dpo"
    """`dpo`: Rafailov et al. 2023, eq. 7; `ipo`: Azar et al. 2023, eq. 17."""
    reference_free: bool = False
    """Leave the reference out, as if it gave every answer the same likelihood."""
    length_normalised: bool = False
    """Divide log-likelihoods by the number of answer tokens."""
    sft_weight: NotNegative = 0.0
    """Multiple of the preferred answer's mean token NLL that is added, to keep text fluent."""


class OnlineSettings(Tuning, frozen=True):
    """Reinforcement learning on the policy's own samples."""

    learning_rate: Positive = 1e-4
    """Peak learning rate; samples are noisier than data, so it is lower than for imitation."""
    method: Literal["grpo", "rloo"] = "grpo"
    """`grpo`: Shao et al. 2024, §4.1; `rloo`: Ahmadian et al. 2024."""
    steps: Count = 50
    """Optimiser steps; each has its own fresh samples."""
    prompts_per_step: Count = 4
    """Prompts sampled from at each step."""
    group: Annotated[int, Meta(ge=2)] = 4
    """Samples a prompt; their rewards are each other's baseline."""
    accumulation: Count = 1
    """Backward passes a step: must divide `prompts_per_step * group`."""
    max_new_tokens: Count = 64
    """Longest sample, in tokens."""
    temperature: Positive = 1.0
    """Sampling temperature."""
    beta: NotNegative = 0.05
    """Weight of the KL divergence from the start policy; 0 leaves it out, and unmeasured."""
