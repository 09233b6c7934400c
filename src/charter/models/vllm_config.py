"""Models run by vLLM inside this process: their names, `vllm:NAME`, and the `endpoint.vllm` block.

Knows no vLLM. What NAME may be is the business of `hf`: `embedded`, a hub name or a folder.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from charter.records import Record

PREFIX = "vllm:"


class VLLMConfig(Record, frozen=True):
    """How vLLM loads a model, in its own words: every field is an argument of `vllm.LLM`."""

    gpu_memory_utilization: Annotated[float, Meta(gt=0, le=1)] = 0.9
    """Share of a GPU's memory that it takes, for weights and cache together."""
    max_model_len: Annotated[int, Meta(ge=2)] | None = None
    """Most tokens of prompt and answer; without one, as many as the model was made for."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Type of the weights; part of the model's name in records, since it changes what it says."""
    enforce_eager: bool = False
    """Start sooner and run slower: nothing is compiled, no CUDA graph is captured."""


def in_process(name: str) -> bool:
    """Whether a model name asks for vLLM inside this process."""
    return name.startswith(PREFIX)
