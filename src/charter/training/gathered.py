"""Log-likelihoods of answers, with the vocabulary head run on the answers' positions alone.

Owns which hidden states meet the head. On a small model the head is a fifth of all weights and
its output the largest tensor by far, while most positions belong to prompts that carry no loss.

Shape suffixes: B rows, T tokens, N target tokens of the whole batch, D hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from peft import PeftModel
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from charter.errors import ModelError

_LOGIT_TRANSFORMS = (
    "final_logit_softcapping",
    "logit_scale",
    "logits_scaling",
    "lm_head_multiplier",
)
"""Config fields by which some architectures change logits after the head."""


def plain(net: PreTrainedModel | PeftModel) -> Any:
    """The transformers model inside an adapter wrapper (or the model itself)."""
    return net.get_base_model() if isinstance(net, PeftModel) else net


def blocks(net: PreTrainedModel | PeftModel) -> Any:
    """Names of the classes whose modules stay whole where a model is cut into shards.

    accelerate asks the outermost module for them, under the name that transformers' models use.
    """
    return plain(net)._no_split_modules


def in_chunks(
    head: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    hidden_ND: torch.Tensor,
    targets_N: torch.Tensor,
    size: int,
) -> torch.Tensor:
    """What a head says of each token, [..., N], with the logits of few tokens held at once.

    Args:
        head: gives [..., N] for hidden states [N, D] and tokens [N].
        hidden_ND: states that predict the tokens.
        targets_N: the tokens.
        size: tokens at once. The logits of more than these are not kept for the backward pass, but
            computed a second time.
    """
    if len(targets_N) <= size:
        return head(hidden_ND, targets_N)
    parts = zip(torch.split(hidden_ND, size), torch.split(targets_N, size), strict=True)
    found: list[torch.Tensor] = [checkpoint(head, h, t, use_reentrant=False) for h, t in parts]
    return torch.cat(found, dim=-1)


class GatheredLM(nn.Module):
    """A causal LM that answers with log-likelihoods of target tokens instead of logits.

    Args:
        net: the language model, with or without an adapter.
        chunk: target tokens whose logits are held at once. Logits of a single chunk stay in
            memory for the backward pass; those of several are computed a second time instead.

    Raises:
        ModelError: the architecture does something to its logits behind the head.
    """

    def __init__(self, net: PreTrainedModel | PeftModel, *, chunk: int = 512) -> None:
        super().__init__()
        for name in _LOGIT_TRANSFORMS:
            if getattr(net.config, name, None) not in (None, 1, 1.0):
                raise ModelError(f"cannot train {net.config.model_type}: it uses {name}")
        self.net, self.chunk = net, chunk

    @property
    def _no_split_modules(self) -> Any:
        return blocks(self.net)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        target_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-likelihood of the target tokens of each row.

        Args:
            input_ids: [B, T], padded on the right.
            attention_mask: [B, T], 0 on padding; None for packs.
            target_mask: boolean [B, T], true on the tokens to be predicted (never the first).
            position_ids: [B, T], of packs; see `packing`.

        Returns:
            sums of log-probabilities in nats, float32 [B], and numbers of target tokens, [B].
        """
        assert target_mask is not None
        # Not every architecture takes positions, so none are passed where none are needed.
        place = {"attention_mask": attention_mask, "position_ids": position_ids}
        given = {name: tensor for name, tensor in place.items() if tensor is not None}
        hidden_BTD = plain(self.net).base_model(input_ids=input_ids, use_cache=False, **given)[0]
        # The state at position t predicts the token at t + 1.
        rows_N, places_N = target_mask[:, 1:].nonzero(as_tuple=True)
        hidden_ND, targets_N = hidden_BTD[rows_N, places_N], input_ids[rows_N, places_N + 1]
        logprobs_N = in_chunks(self._head, hidden_ND, targets_N, self.chunk)
        # Placed on a grid and summed: an index_add would add in random order on a GPU.
        grid_BT = logprobs_N.new_zeros(target_mask.shape)
        sums_B = grid_BT.index_put((rows_N, places_N), logprobs_N).sum(1)
        return sums_B, target_mask[:, 1:].sum(1)

    def _head(self, hidden_ND: torch.Tensor, targets_N: torch.Tensor) -> torch.Tensor:
        logits_NV = plain(self.net).get_output_embeddings()(hidden_ND)
        return -functional.cross_entropy(logits_NV.float(), targets_N, reduction="none")
