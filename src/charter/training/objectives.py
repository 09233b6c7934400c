"""What is minimised: each objective is a collator and a loss, and knows nothing of the loop.

Owns the formulas. The model that an objective is given is a plain callable: `GatheredLM` for
imitation and DPO, `RewardNet` for the preference model.

All losses over pairs are means by the pairs' weights, which must be more than 0.

All labels are soft. With p the probability that answer A is the better one, a label of 1/2 pulls
a pair together, and exchanging A and B together with p and 1 - p changes nothing.

Shape suffixes: B pairs (or rows), T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch.nn.functional import logsigmoid

from charter.training.examples import TokenPair, TokenRow
from charter.training.packing import Pack, lay_out_packs
from charter.training.settings import DPOSettings

Batch = dict[str, torch.Tensor]
Metrics = dict[str, torch.Tensor]
UNITS = "units"


class Objective(Protocol):
    """A way to make a batch of examples and a way to lose on it."""

    def collate(self, rows: Sequence[Any]) -> Batch:
        """Tensors of one batch, padded on the right.

        `UNITS`, if it is among them, is what the loss is a mean over (a scalar); rows otherwise.
        The loop weighs batches by it, so that several small batches are as good as a large one.
        """

    def loss(self, model: Any, batch: Batch) -> tuple[torch.Tensor, Metrics]:
        """The scalar to minimise, and scalars to log (without gradient)."""


@dataclass(frozen=True, slots=True)
class Imitation:
    """Mean negative log-likelihood of the answers' tokens."""

    def collate(self, rows: Sequence[TokenRow] | Sequence[Pack]) -> Batch:
        """Lay rows, or packs of rows, out. A unit is an answer's token."""
        packs = [row for row in rows if isinstance(row, Pack)]
        batch = lay_out_packs(packs) if packs else lay_out_rows(cast(Sequence[TokenRow], rows))
        return {**batch, UNITS: batch["target_mask"][:, 1:].sum()}

    def loss(self, model: Any, batch: Batch) -> tuple[torch.Tensor, Metrics]:
        """Mean over the batch's answer tokens, in nats."""
        sums_B, counts_B = model(**_inputs(batch))
        return -sums_B.sum() / counts_B.sum(), {}


@dataclass(frozen=True, slots=True)
class DirectPreference:
    """DPO (Rafailov et al. 2023, eq. 7) and IPO (Azar et al. 2023, eq. 17) on soft labels.

    With d = log pi(a)/ref(a) - log pi(b)/ref(b):

        dpo   - p log s(beta d) - (1 - p) log s(-beta d)
        ipo   p (d - 1/(2 beta))^2 + (1 - p) (d + 1/(2 beta))^2
    """

    settings: DPOSettings

    def collate(self, rows: Sequence[TokenPair]) -> Batch:
        """All first answers, then all second ones, with labels and reference log-likelihoods."""
        batch = _lay_out_pairs(rows)
        batch["reference"] = torch.tensor([pair.ref_a for pair in rows] + [p.ref_b for p in rows])
        return batch

    def loss(self, model: Any, batch: Batch) -> tuple[torch.Tensor, Metrics]:
        """Mean over pairs; logs accuracy, margin beta d towards the label, preferred NLL."""
        p_B, weight_B, reference_2B = batch["p_a"], batch["weight"], batch["reference"]
        sums_2B, counts_2B = model(**_inputs(batch))
        units_2B = counts_2B if self.settings.length_normalised else 1
        ratio_a_B, ratio_b_B = ((sums_2B - reference_2B) / units_2B).chunk(2)
        margin_B = self.settings.beta * (ratio_a_B - ratio_b_B)
        nll = _mean(_preferred(-sums_2B / counts_2B, p_B), weight_B)
        loss = _mean(self._pairwise(ratio_a_B - ratio_b_B, p_B), weight_B)
        return loss + self.settings.sft_weight * nll, {
            **_agreement(margin_B, p_B, weight_B),
            "preferred_nll": nll.detach(),
        }

    def _pairwise(self, ratio_B: torch.Tensor, p_B: torch.Tensor) -> torch.Tensor:
        beta = self.settings.beta
        if self.settings.loss == "ipo":
            target = 1 / (2 * beta)
            return p_B * (ratio_B - target) ** 2 + (1 - p_B) * (ratio_B + target) ** 2
        return _cross_entropy(beta * ratio_B, p_B)


@dataclass(frozen=True, slots=True)
class PairwiseReward:
    """Bradley-Terry cross-entropy on soft labels (Bai et al. 2022, §4.1; Lee et al. 2023, §3.2).

    The loss fixes rewards only up to a constant; `centring` times the squared sum of a pair's two
    rewards is added, so that they stay around zero (Eisenstein et al. 2023).
    """

    centring: float = 0.0

    def collate(self, rows: Sequence[TokenPair]) -> Batch:
        """All first answers, then all second ones, with labels."""
        return _lay_out_pairs(rows)

    def loss(self, model: Any, batch: Batch) -> tuple[torch.Tensor, Metrics]:
        """Mean over pairs; logs accuracy, reward margin towards the label, and mean reward."""
        inputs = _inputs(batch)
        rewards_2B = model(inputs["input_ids"], inputs["attention_mask"])
        a_B, b_B = rewards_2B.chunk(2)
        loss_B = _cross_entropy(a_B - b_B, batch["p_a"]) + self.centring * (a_B + b_B) ** 2
        weight_B = batch["weight"]
        metrics = _agreement(a_B - b_B, batch["p_a"], weight_B)
        reward = _mean((a_B + b_B) / 2, weight_B).detach()
        return _mean(loss_B, weight_B), {**metrics, "reward": reward}


def lay_out_rows(rows: Sequence[TokenRow]) -> Batch:
    """`input_ids`, `attention_mask` and boolean `target_mask`, each [B, T], padded on the right."""
    width = max(len(row) for row in rows)
    ids_BT = torch.zeros(len(rows), width, dtype=torch.long)
    mask_BT, targets_BT = torch.zeros_like(ids_BT), torch.zeros_like(ids_BT, dtype=torch.bool)
    for index, row in enumerate(rows):
        ids_BT[index, : len(row)] = torch.tensor(row.prompt + row.answer)
        mask_BT[index, : len(row)] = 1
        targets_BT[index, len(row.prompt) : len(row)] = True
    return {"input_ids": ids_BT, "attention_mask": mask_BT, "target_mask": targets_BT}


def _lay_out_pairs(pairs: Sequence[TokenPair]) -> Batch:
    batch = lay_out_rows([pair.a for pair in pairs] + [pair.b for pair in pairs])
    weight_B = torch.tensor([float(pair.weight) for pair in pairs])
    labels_B = torch.tensor([float(pair.p_a) for pair in pairs])
    return {**batch, "p_a": labels_B, "weight": weight_B, UNITS: weight_B.sum()}


def _inputs(batch: Batch) -> Batch:
    names = ("input_ids", "attention_mask", "position_ids", "target_mask")
    return {name: batch[name] for name in names if name in batch}


def _cross_entropy(margin_B: torch.Tensor, p_B: torch.Tensor) -> torch.Tensor:
    return -p_B * logsigmoid(margin_B) - (1 - p_B) * logsigmoid(-margin_B)


def _preferred(values_2B: torch.Tensor, p_B: torch.Tensor) -> torch.Tensor:
    """The value of the better answer of each pair; the mean of both where the label is a tie."""
    a_B, b_B = values_2B.chunk(2)
    share_B = (1 + (p_B - 0.5).sign()) / 2
    return share_B * a_B + (1 - share_B) * b_B


def _mean(values_B: torch.Tensor, weight_B: torch.Tensor) -> torch.Tensor:
    return (values_B * weight_B).sum() / weight_B.sum()


def _agreement(margin_B: torch.Tensor, p_B: torch.Tensor, weight_B: torch.Tensor) -> Metrics:
    """Accuracy, where a tie of margins or labels counts one half, and margin towards the label."""
    margin_B, side_B = margin_B.detach(), (p_B - 0.5).sign()
    return {
        "accuracy": _mean((1 + margin_B.sign() * side_B) / 2, weight_B),
        "margin": _mean(margin_B * side_B, weight_B),
    }
