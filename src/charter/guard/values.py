"""Fine-tuning a language model to give every token the logit of a harmful text.

Owns turning guard data into token rows and the loss (2025 recipe: annealed cumulative maximum of
token values, arXiv 2501.18837 §4). What becomes of the tuned network is the business of `tuning` (a
whole checkpoint) and of `adapting` (an adapter below linear heads).

Shape suffixes: B rows, T tokens, D hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import nn
from torch.nn.functional import binary_cross_entropy
from transformers import PreTrainedModel

from charter.guard.examples import GuardExample
from charter.guard.fitting import Report
from charter.guard.readable import cleaned
from charter.guard.tracking import GrowingText
from charter.guard.views import views
from charter.models.hf import HFModel
from charter.training.examples import TokenRow, end_of_turn
from charter.training.gathered import plain
from charter.training.loop import fit
from charter.training.objectives import Batch, Metrics, lay_out_rows
from charter.training.policy import trainable
from charter.training.reward_model import sequence_net
from charter.training.settings import TrainSettings

_TINY = 1e-6


@dataclass(frozen=True, slots=True)
class ValueRow:
    """Tokens, of which the `answer` part is scored, and the label of the whole."""

    tokens: TokenRow
    label: float

    def __len__(self) -> int:
        return len(self.tokens)


class ValueNet(nn.Module):
    """A logit for every token.

    Args:
        net: a sequence classifier with one output, with or without an adapter.
    """

    def __init__(self, net: PreTrainedModel | PeftModel) -> None:
        super().__init__()
        self.net = net

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits, float32 [B, T], of rows [B, T] padded on the right."""
        hidden_BTD = plain(self.net).base_model(
            input_ids=input_ids, attention_mask=attention_mask, use_cache=False
        )[0]
        logits: torch.Tensor = plain(self.net).score(hidden_BTD)[..., 0]
        return logits.float()


class CumulativeMax:
    """p_t = (1-w) s(z_t) + w max_{u<=t} s(z_u), w from 0 to 1 over the steps; see `Objective`.

    Args:
        steps: backward passes of the whole training.
    """

    def __init__(self, steps: int) -> None:
        self.steps, self._done = max(1, steps), 0

    def collate(self, rows: Sequence[ValueRow]) -> Batch:
        """Rows padded on the right, and their labels."""
        batch = lay_out_rows([row.tokens for row in rows])
        return {**batch, "labels_B": torch.tensor([row.label for row in rows])}

    def loss(self, model: Any, batch: Batch) -> tuple[torch.Tensor, Metrics]:
        """Mean over rows of the mean over their scored tokens; logs accuracy at the last one."""
        annealed = min(1.0, self._done / self.steps)
        self._done += 1
        logits_BT = model(batch["input_ids"], batch["attention_mask"])
        targets_BT, labels_B = batch["target_mask"], batch["labels_B"].to(logits_BT)
        token_BT = logits_BT.sigmoid().masked_fill(~targets_BT, 0.0)
        highest_BT = token_BT.cummax(1).values
        p_BT = (1 - annealed) * token_BT + annealed * highest_BT
        labels_BT = labels_B[:, None].expand_as(p_BT)
        with torch.autocast(p_BT.device.type, enabled=False):
            losses_BT = binary_cross_entropy(
                p_BT.float().clamp(_TINY, 1 - _TINY), labels_BT.float(), reduction="none"
            )
        counts_B = targets_BT.sum(1).clamp(min=1)
        losses_B = losses_BT.masked_fill(~targets_BT, 0.0).sum(1) / counts_B
        right = (highest_BT[:, -1] > 0.5) == (labels_B > 0.5)
        return losses_B.mean(), {"accuracy": right.float().mean().detach()}


def tuned(
    examples: Sequence[GuardExample],
    model: HFModel,
    settings: TrainSettings,
    out: Path,
    *,
    job: Any,
    report: Report,
) -> ValueNet:
    """A network trained on examples; a killed training goes on from its last checkpoint.

    Args:
        examples: to learn from.
        model: loaded plain; its network is taken over.
        settings: see `TrainSettings`; rank 0 trains all weights.
        out: folder below which intermediate checkpoints are kept.
        job: what else decides the result.
        report: told of the progress.

    Raises:
        ModelError: the model has no form with a score head.
        TrainingError: training diverged.
    """
    rows = [value_row(model, row, settings.max_length) for row in examples]
    end = end_of_turn(model)
    net = ValueNet(trainable(sequence_net(model, end), settings, task="SEQ_CLS"))
    fit(
        net,
        CumulativeMax(round(settings.epochs * len(rows) / settings.batch_size)),
        rows,
        settings,
        out=out,
        job=[job, examples],
        progress=lambda done, of, _: report("training", done, of),
    )
    return net


def value_row(model: HFModel, row: GuardExample, longest: int) -> ValueRow:
    """A row of guard data as tokens: of a prompt the last one is scored, of an answer all are."""
    context = model.render(views(row.conversation)[0])
    answer = GrowingText(lambda text: model.encode(cleaned(text))).extend(row.answer)
    if not answer:
        context, answer = context[:-1], context[-1:]
    answer = answer[: longest // 2]
    kept = [*context[:1], *context[1:][-(longest - len(answer) - 1) :]]
    return ValueRow(TokenRow(tuple(kept), tuple(answer)), float(row.label == "harmful"))
