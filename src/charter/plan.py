"""The `plan:` block of a recipe: what a dry run may take for granted where it cannot look.

Owns sizes and machines as people write them. It changes nothing of the run itself, so nothing is
done again when it changes. Knows no model and no arithmetic (see `estimate`).
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from charter.records import Record

Amount = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]


class ShapeConfig(Record, frozen=True):
    """The size of the model to align, as its own configuration states it."""

    parameters: Amount
    """Weights, in billions."""
    layers: Count
    """Transformer blocks."""
    width: Count
    """Of the residual stream."""
    kv_width: Count
    """Key-value heads times the size of a head."""
    vocabulary: Count
    """Tokens."""


class MachineConfig(Record, frozen=True):
    """The device a recipe is meant for; figures of its maker's data sheet will do."""

    name: str
    memory_gb: Amount
    """Memory of one device, in 10^9 bytes."""
    tflops: Amount
    """Peak rate of dense bfloat16 matrix products, in 10^12 operations a second: training."""
    tflops_float32: Amount
    """The same in float32, in which models are read and sampled from."""
    gb_s: Amount
    """Memory bandwidth of one device, in 10^9 bytes a second."""


class PlanConfig(Record, frozen=True):
    """The `plan:` block."""

    shape: ShapeConfig | None = None
    """Size of `model`; left out, it is read from the model's files or told from its name."""
    machine: MachineConfig | None = None
    """Device that the figures are for; left out, they are for this machine."""
    compute_share: Annotated[float, Meta(gt=0, le=1)] = 0.3
    """Share of the peak rate that reading and training reach on a stated machine."""
    bandwidth_share: Annotated[float, Meta(gt=0, le=1)] = 0.15
    """Share of the bandwidth that generation reaches there."""
    prompt_tokens: Annotated[int, Meta(ge=0)] = 0
    """Tokens of a prompt with its chat format; 0: told from the prompts that can be read here."""
    remote_tokens_s: NotNegative = 0.0
    """Tokens a second, read and written, of the models behind endpoints; 0: not known, and the
    time of their calls is left out."""
