"""Training a guard of the kind `sequence`: a model fine-tuned to score every token.

Owns turning guard data into token rows, the loss (2025 recipe: annealed cumulative maximum of token
values, arXiv 2501.18837 §4), and the folder: adapters are merged, so `DIR/model` is a plain
Hugging Face checkpoint. Nothing that serves imports this module.

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

from charter.guard import guard_file, held_out
from charter.guard.examples import GuardExample
from charter.guard.fitting import Report, Trained
from charter.guard.readable import cleaned
from charter.guard.sequence import MODEL, SequenceCard, value_head
from charter.guard.smoothing import Smoothing
from charter.guard.token_classifier import Reading, TokenClassifier
from charter.guard.tracking import GrowingText
from charter.guard.training_rows import TrainingRows
from charter.guard.views import views
from charter.models import hf
from charter.models.hf import HFModel
from charter.records import Checkpoint
from charter.training.examples import TokenRow, end_of_turn
from charter.training.gathered import plain
from charter.training.loop import fit
from charter.training.objectives import Batch, Metrics, lay_out_rows
from charter.training.policy import trainable
from charter.training.quiet import quiet
from charter.training.reward_model import sequence_net
from charter.training.settings import TrainSettings

WINDOW = 96
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


@quiet()
def train(
    rows: TrainingRows,
    start: Checkpoint,
    out: Path,
    settings: TrainSettings,
    *,
    report: Report = lambda *_: None,
) -> Trained:
    """Fine-tune a classifier and write its folder.

    Args:
        rows: to learn from, and held out.
        start: the model to build on.
        out: folder to write.
        settings: see `TrainSettings`; rank 0 trains all weights.
        report: told of the progress.

    Raises:
        InputError: there is nothing to learn from.
        ModelError: the model has no form with a score head.
        TrainingError: training diverged.
    """
    rows, base = rows.check(), hf.load(start.base, adapters=start.adapters, plain=True)
    examples = [*rows.prompts, *(rows.answers if rows.can_learn_answers else ())]
    value_rows = [value_row(base, row, settings.max_length) for row in examples]
    end = end_of_turn(base)
    net = ValueNet(trainable(sequence_net(base, end), settings, task="SEQ_CLS"))
    passes = round(settings.epochs * len(value_rows) / settings.batch_size)
    fit(
        net,
        CumulativeMax(passes),
        value_rows,
        settings,
        out=out,
        job=[start, examples],
        progress=lambda done, of, _: report("training", done, of),
    )
    merged = _saved(net, base, out / MODEL)
    classifier = TokenClassifier(
        HFModel(merged, base.tokenizer, "unsaved"),
        value_head(merged, out),
        "unsaved",
        Reading(smoothing=Smoothing("none")),
    )
    thresholds, figures = held_out.thresholds_and_figures(classifier, rows, WINDOW)
    card = SequenceCard(
        reading=classifier.reading,
        thresholds=thresholds,
        window=WINDOW,
        about={"start": start, "held_out": figures},
    )
    guard_file.write(out, card)  # last: a folder without it is no guard
    counts = {key: len(getattr(rows, key)) for key in ("prompts", "answers")}
    return Trained(str(out), counts, figures, thresholds)


def value_row(model: HFModel, row: GuardExample, longest: int) -> ValueRow:
    """A row of guard data as tokens: of a prompt the last one is scored, of an answer all are."""
    context = model.render(views(row.conversation)[0])
    answer = GrowingText(lambda text: model.encode(cleaned(text))).extend(row.answer)
    if not answer:
        context, answer = context[:-1], context[-1:]
    answer = answer[: longest // 2]
    kept = [*context[:1], *context[1:][-(longest - len(answer) - 1) :]]
    return ValueRow(TokenRow(tuple(kept), tuple(answer)), float(row.label == "harmful"))


def _saved(net: ValueNet, base: HFModel, folder: Path) -> PreTrainedModel:
    """Merge adapters and write a plain checkpoint."""
    inner = net.net
    merged: PreTrainedModel = inner.merge_and_unload() if isinstance(inner, PeftModel) else inner
    merged.save_pretrained(folder)
    base.tokenizer.save_pretrained(folder)
    merged.train(False)
    return merged
