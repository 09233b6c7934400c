"""As much of vLLM's offline API (0.11 and later) as is used, over a network that is really run.

It takes no argument that vLLM does not take, refuses what vLLM refuses, and keeps a prefix cache
of whole blocks, as vLLM does. Slow and obvious: one row at a time, without a key/value cache.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from transformers import AutoModelForCausalLM

BLOCK = 16
"""Tokens of a block of the prefix cache, as is usual in vLLM."""


@dataclass
class SamplingParams:
    temperature: float = 1.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    max_tokens: int = 16
    seed: int | None = None
    logprobs: int | None = None
    allowed_token_ids: list[int] | None = None
    detokenize: bool = True


@dataclass
class Logprob:
    logprob: float


@dataclass
class CompletionOutput:
    token_ids: list[int] = field(default_factory=list)
    text: str = ""
    finish_reason: str | None = "length"
    logprobs: list[dict[int, Logprob]] = field(default_factory=list)


@dataclass
class RequestOutput:
    prompt_token_ids: list[int]
    outputs: list[CompletionOutput]
    num_cached_tokens: int | None


class LLM:
    """One network, and the blocks that it has seen."""

    made = 0

    def __init__(
        self,
        model: str,
        *,
        seed: int,
        enable_prefix_caching: bool,
        logprobs_mode: str,
        gpu_memory_utilization: float,
        max_model_len: int | None,
        dtype: str,
        enforce_eager: bool,
    ) -> None:
        assert enable_prefix_caching and logprobs_mode == "raw_logprobs"
        LLM.made += 1
        self.net = AutoModelForCausalLM.from_pretrained(model).eval()
        longest = self.net.config.max_position_embeddings
        if max_model_len is not None and max_model_len > longest:
            raise ValueError(f"User-specified max_model_len ({max_model_len}) is too large")
        config = SimpleNamespace(max_model_len=max_model_len or longest)
        self.llm_engine = SimpleNamespace(model_config=config)
        self.blocks = set[tuple[int, ...]]()
        self.asked: list[list[int]] = []

    def generate(
        self,
        prompts: list[dict[str, list[int]]],
        sampling_params: list[SamplingParams],
        *,
        use_tqdm: bool,
    ) -> list[RequestOutput]:
        assert prompts and len(prompts) == len(sampling_params)
        pairs = zip(prompts, sampling_params, strict=True)
        return [self._answer(prompt["prompt_token_ids"], params) for prompt, params in pairs]

    @torch.inference_mode()
    def _answer(self, ids: list[int], params: SamplingParams) -> RequestOutput:
        if len(ids) >= self.llm_engine.model_config.max_model_len:
            raise ValueError("The decoder prompt is longer than the maximum model length")
        self.asked.append(ids)
        cached, output = self._hits(ids), CompletionOutput()
        draw = torch.Generator().manual_seed(params.seed or 0)
        for _ in range(params.max_tokens):
            row = torch.tensor([[*ids, *output.token_ids]])
            token = self._next(self.net(input_ids=row).logits[0, -1], params, output, draw)
            output.token_ids.append(token)
            if token == self.net.generation_config.eos_token_id:
                output.finish_reason = "stop"
                break
        return RequestOutput(ids, [output], cached)

    def _hits(self, ids: list[int]) -> int:
        """Tokens of the blocks at the beginning that were seen before; never the last token."""
        begun = [tuple(ids[:end]) for end in range(BLOCK, len(ids) + 1, BLOCK)]
        found = 0
        for block in begun:
            if block not in self.blocks or len(block) == len(ids):
                break
            found = len(block)
        self.blocks.update(begun)
        return found

    def _next(
        self,
        logits: torch.Tensor,
        params: SamplingParams,
        output: CompletionOutput,
        draw: torch.Generator,
    ) -> int:
        raw = logits.log_softmax(-1)
        if params.allowed_token_ids is not None:
            allowed = torch.full_like(logits, -torch.inf)
            allowed[params.allowed_token_ids] = 0.0
            logits = logits + allowed
        if params.temperature == 0.0:
            token = int(logits.argmax())
        else:
            shares = (logits / params.temperature).softmax(-1)
            token = int(torch.multinomial(shares, 1, generator=draw))
        if params.logprobs is not None:
            listed = [*map(int, raw.topk(params.logprobs).indices), token]
            output.logprobs.append({i: Logprob(float(raw[i])) for i in listed})
        return token


def module() -> ModuleType:
    """What `import vllm` shall find."""
    found: Any = ModuleType("vllm")
    found.LLM, found.SamplingParams = LLM, SamplingParams
    return found
