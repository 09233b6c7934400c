"""The network that PPO trains: a policy, a value head on top of it, and the policy's reference.

Owns likelihoods, entropies and values of answer tokens, one number a token. Knows no reward.

Shape suffixes: B rows, T tokens, A answer tokens (padded on the right), N answer tokens of the
whole batch, D hidden size, V vocabulary.
"""

from __future__ import annotations

import copy
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from peft import PeftModel
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from charter.training.gathered import in_chunks, plain
from charter.training.objectives import Batch


@dataclass(frozen=True, slots=True)
class Reading:
    """What a network says of answers; each [B, A], 0 on padding.

    Attributes:
        logprobs_BA: log-probability of each token, in nats, at the sampling temperature.
        entropy_BA: of the distribution that it was drawn from, in nats; no gradient.
        values_BA: expected return from here on.
        mask_BA: true on real tokens.
    """

    logprobs_BA: torch.Tensor
    entropy_BA: torch.Tensor
    values_BA: torch.Tensor
    mask_BA: torch.Tensor


class ActorCritic(nn.Module):
    """A policy with a linear value head on its last hidden states.

    The head starts at zero, and its gradient ends at the hidden states: learning what to expect
    never changes what is said.

    Args:
        net: the language model, with or without an adapter.
        temperature: of sampling.
        chunk: answer tokens whose logits are held at once; see `gathered.GatheredLM`.
    """

    def __init__(
        self, net: PreTrainedModel | PeftModel, *, temperature: float = 1.0, chunk: int = 512
    ) -> None:
        super().__init__()
        self.net, self.temperature, self.chunk = net, temperature, chunk
        self.value = nn.Linear(int(net.config.hidden_size), 1).to(net.device)
        nn.init.zeros_(self.value.weight)
        nn.init.zeros_(self.value.bias)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        target_mask: torch.Tensor,
    ) -> Reading:
        """Read rows laid out by `objectives.lay_out_rows`; the answer ends each row."""
        hidden_BTD = plain(self.net).base_model(
            input_ids=input_ids, attention_mask=attention_mask, use_cache=False
        )[0]
        # The state at position t predicts the token at t + 1.
        rows_N, places_N = target_mask[:, 1:].nonzero(as_tuple=True)
        hidden_ND = hidden_BTD[rows_N, places_N]
        logprobs_N, entropy_N = self._of_tokens(hidden_ND, input_ids[rows_N, places_N + 1])
        values_N = self.value(hidden_ND.detach().float())[:, 0]
        mask_BA = _answer_mask(target_mask)

        def grid(values: torch.Tensor) -> torch.Tensor:
            return values.new_zeros(mask_BA.shape).masked_scatter(mask_BA, values)

        return Reading(grid(logprobs_N), grid(entropy_N), grid(values_N), mask_BA)

    def _of_tokens(
        self, hidden_ND: torch.Tensor, targets_N: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        read_2N = in_chunks(self._head, hidden_ND, targets_N, self.chunk)
        return read_2N[0], read_2N[1].detach()

    def _head(self, hidden_ND: torch.Tensor, targets_N: torch.Tensor) -> torch.Tensor:
        logits_NV = plain(self.net).get_output_embeddings()(hidden_ND).float() / self.temperature
        logprobs_N = -functional.cross_entropy(logits_NV, targets_N, reduction="none")
        with torch.no_grad():
            all_NV = logits_NV.log_softmax(-1)
            entropy_N = -(all_NV.exp() * all_NV).sum(-1)
        return torch.stack([logprobs_N, entropy_N])


class Reference:
    """The start policy: the fresh adapter switched off, or a frozen copy where there is none."""

    def __init__(self, actor: ActorCritic) -> None:
        self.actor, self._copy = actor, None
        if not isinstance(actor.net, PeftModel):
            self._copy = copy.deepcopy(actor).requires_grad_(False)

    @torch.no_grad()
    def logprobs(self, batch: Batch) -> torch.Tensor:
        """Log-probability of each answer token, [B, A]."""
        net = self.actor.net
        off = net.disable_adapter() if isinstance(net, PeftModel) else nullcontext()
        with off:
            reading: Reading = (self._copy or self.actor)(**batch)
        return reading.logprobs_BA


def _answer_mask(target_mask: torch.Tensor) -> torch.Tensor:
    counts_B = target_mask[:, 1:].sum(1)
    places_A = torch.arange(int(counts_B.max()), device=target_mask.device)
    return places_A[None, :] < counts_B[:, None]
