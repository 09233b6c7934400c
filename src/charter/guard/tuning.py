"""Training a guard of the kind `sequence`: a model fine-tuned to score every token.

Owns the order of things and the folder: adapters are merged, so `DIR/model` is a plain Hugging Face
checkpoint. Nothing that serves imports this module.
"""

from __future__ import annotations

from pathlib import Path

from peft import PeftModel
from transformers import PreTrainedModel

from charter.guard import guard_file, held_out
from charter.guard.fitting import Report, Trained
from charter.guard.sequence import MODEL, SequenceCard, value_head
from charter.guard.smoothing import Smoothing
from charter.guard.token_classifier import Reading, TokenClassifier
from charter.guard.training_rows import TrainingRows
from charter.guard.values import ValueNet, tuned
from charter.models import hf
from charter.models.hf import HFModel
from charter.records import Checkpoint
from charter.training.quiet import quiet
from charter.training.settings import TrainSettings

WINDOW = 96


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
    net = tuned(examples, base, settings, out, job=start, report=report)
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


def _saved(net: ValueNet, base: HFModel, folder: Path) -> PreTrainedModel:
    """Merge adapters and write a plain checkpoint."""
    inner = net.net
    merged: PreTrainedModel = inner.merge_and_unload() if isinstance(inner, PeftModel) else inner
    merged.save_pretrained(folder)
    base.tokenizer.save_pretrained(folder)
    merged.train(False)
    return merged
