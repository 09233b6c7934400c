"""Batched sampling from a causal LM, deterministic row by row.

Owns: the token loop, the growing key/value cache, and the drawing of tokens. Knows nothing of
chat templates, text or records: token ids in, token ids out.

Two things differ from `GenerationMixin.generate`, and both matter on two cores: the cache grows in
place instead of being concatenated at every step, and rows that have ended leave the batch. And
one thing matters for resuming: a row's randomness comes from its own seed, never from the batch
it happens to be in.

Shape suffixes: B rows, P prompt tokens, N new tokens, V vocabulary, H heads, D head size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer

from charter.records import Sampling

_NUCLEUS_WIDTH = 256
"""Nucleus sampling looks at this many most likely tokens; sorting a whole vocabulary a row and a
step costs more than the forward pass of a small model."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One row: prompt ids, how to sample, and the seed of its randomness."""

    ids: Sequence[int]
    sampling: Sampling
    seed: int


@dataclass(frozen=True, slots=True)
class TokenResult:
    """New token ids (end token excluded) and whether the row ended by itself."""

    ids: list[int]
    ended: bool


class GrowingLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """Key/value cache of one layer that doubles its buffer instead of copying at every token."""

    key_buffer: torch.Tensor
    value_buffer: torch.Tensor

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append `[B, H, T, D]` states and return views of everything so far."""
        start = self.get_seq_length()
        stop = start + key_states.shape[-2]
        if not self.is_initialized or stop > self.key_buffer.shape[-2]:
            self._grow(key_states, start, stop)
        self.key_buffer[..., start:stop, :] = key_states
        self.value_buffer[..., start:stop, :] = value_states
        self.keys = self.key_buffer[..., :stop, :]
        self.values = self.value_buffer[..., :stop, :]
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep only these rows."""
        self.key_buffer = self.key_buffer[indices]
        self.value_buffer = self.value_buffer[indices]
        length = self.get_seq_length()
        self.keys = self.key_buffer[..., :length, :]
        self.values = self.value_buffer[..., :length, :]

    def _grow(self, like: torch.Tensor, start: int, stop: int) -> None:
        batch, heads, _, size = like.shape
        room = (batch, heads, max(2 * start, stop + 64), size)
        keys, values = like.new_empty(room), like.new_empty(room)
        if start:
            keys[..., :start, :] = self.key_buffer[..., :start, :]
            values[..., :start, :] = self.value_buffer[..., :start, :]
        self.key_buffer, self.value_buffer = keys, values
        self.dtype, self.device, self.is_initialized = like.dtype, like.device, True


class GrowingCache(Cache):
    """A `Cache` of `GrowingLayer`s."""

    def __init__(self) -> None:
        super().__init__(layer_class_to_replicate=GrowingLayer)


def sample(
    model: PreTrainedModel | PeftModel, requests: Sequence[TokenRequest], *, end_ids: Sequence[int]
) -> list[TokenResult]:
    """Sample one continuation a request, all in one batch.

    Args:
        model: a causal LM in eval mode.
        requests: rows; lengths may differ (they are padded on the left).
        end_ids: tokens that end a row.

    Returns:
        one result a request, in order.
    """
    return _Batch(model, requests, end_ids).run()


class _Batch:
    """The rows still running, and what each has produced."""

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        requests: Sequence[TokenRequest],
        end_ids: Sequence[int],
    ) -> None:
        self.model, self.requests, self.end_ids = model, requests, set(end_ids)
        self.produced: list[list[int]] = [[] for _ in requests]
        self.ended = [False] * len(requests)
        self.alive = list(range(len(requests)))
        self.uniforms = [
            np.random.default_rng(r.seed).random(r.sampling.max_tokens) for r in requests
        ]
        self.cache = GrowingCache()
        self.ids_BP, self.mask_BP = _pad_left([r.ids for r in requests], model.device)

    @torch.inference_mode()
    def run(self) -> list[TokenResult]:
        inputs, positions = self.ids_BP, (self.mask_BP.cumsum(-1) - 1).clamp(min=0)
        while self.alive:
            logits_BV = self.model(
                input_ids=inputs,
                attention_mask=self.mask_BP,
                position_ids=positions,
                past_key_values=self.cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]
            tokens = self._draw(logits_BV.float())
            kept = self._record(tokens)
            if not kept:
                break
            rows = torch.tensor(kept, device=inputs.device)
            if len(kept) < len(tokens):
                self.cache.batch_select_indices(rows)
                self.mask_BP = self.mask_BP[rows]
            inputs = torch.tensor([[tokens[row]] for row in kept], device=inputs.device)
            positions = self.mask_BP.sum(-1, keepdim=True)
            self.mask_BP = torch.cat([self.mask_BP, torch.ones_like(positions)], dim=-1)
        return [TokenResult(ids, done) for ids, done in zip(self.produced, self.ended, strict=True)]

    def _record(self, tokens: list[int]) -> list[int]:
        """Book one token a running row; return the batch positions that go on."""
        kept = []
        for position, (row, token) in enumerate(zip(self.alive, tokens, strict=True)):
            if token in self.end_ids:
                self.ended[row] = True
                continue
            self.produced[row].append(token)
            if len(self.produced[row]) < self.requests[row].sampling.max_tokens:
                kept.append(position)
        self.alive = [self.alive[position] for position in kept]
        return kept

    def _draw(self, logits_BV: torch.Tensor) -> list[int]:
        """Next token of every running row."""
        self._penalise(logits_BV)
        tokens: list[int] = logits_BV.argmax(-1).tolist()
        settings = [self.requests[row].sampling for row in self.alive]
        sampled = [i for i, s in enumerate(settings) if s.temperature > 0]
        # Two groups: a row must be drawn in the same way whatever its neighbours ask for.
        for nucleus in (False, True):
            group = [i for i in sampled if (settings[i].top_p < 1) is nucleus]
            for position, token in zip(group, self._sample(logits_BV, group), strict=True):
                tokens[position] = token
        return tokens

    def _penalise(self, logits_BV: torch.Tensor) -> None:
        """Repetition penalty (Keskar et al. 2019) over a row's own new tokens, in place."""
        for position, row in enumerate(self.alive):
            penalty = self.requests[row].sampling.repetition_penalty
            if penalty != 1.0 and self.produced[row]:
                seen = torch.tensor(sorted(set(self.produced[row])), device=logits_BV.device)
                values = logits_BV[position, seen]
                logits_BV[position, seen] = torch.where(
                    values > 0, values / penalty, values * penalty
                )

    def _sample(self, logits_BV: torch.Tensor, positions: list[int]) -> list[int]:
        """Tokens of rows that all sample from the whole distribution, or all from a nucleus."""
        if not positions:
            return []
        rows = [self.alive[position] for position in positions]
        settings = [self.requests[row].sampling for row in rows]
        temperature = logits_BV.new_tensor([s.temperature for s in settings])[:, None]
        top_p = logits_BV.new_tensor([s.top_p for s in settings])[:, None]
        draw = torch.tensor(
            [self.uniforms[row][len(self.produced[row])] for row in rows],
            dtype=torch.float64,
            device=logits_BV.device,
        )[:, None]
        scaled = logits_BV[positions] / temperature
        if settings[0].top_p >= 1:
            chosen = _invert(scaled.softmax(-1), draw)
        else:
            probs, tokens = _nucleus(scaled, top_p)
            chosen = tokens.gather(-1, _invert(probs, draw)[:, None])[:, 0]
        return [int(token) for token in chosen]


def _nucleus(scaled_BV: torch.Tensor, top_p_B1: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The most likely tokens' probabilities, zero outside the nucleus, and which tokens they are.

    Nucleus sampling: Holtzman et al. 2020, §3.1.
    """
    width = min(_NUCLEUS_WIDTH, scaled_BV.shape[-1])
    values, tokens = scaled_BV.log_softmax(-1).topk(width, dim=-1)
    probs = values.exp()
    # A token is in the nucleus if the mass before it is still under top_p.
    return probs.masked_fill(probs.cumsum(-1) - probs >= top_p_B1, 0), tokens


def _invert(probs_BV: torch.Tensor, draw_B1: torch.Tensor) -> torch.Tensor:
    """Inverse-CDF sampling, shape [B]: the first token whose cumulative mass exceeds the draw."""
    mass = probs_BV.double().cumsum(-1)
    choice = torch.searchsorted(mass, draw_B1 * mass[:, -1:], right=True)
    return choice[:, 0].clamp(max=probs_BV.shape[-1] - 1)


def _pad_left(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[torch.Tensor, ...]:
    width = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, width - len(row) :] = torch.tensor(list(row))
        mask[index, width - len(row) :] = 1
    return ids.to(device), mask.to(device)
