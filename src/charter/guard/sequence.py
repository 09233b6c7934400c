"""The kind `sequence`: a fine-tuned sequence classifier, a plain Hugging Face checkpoint.

    DIR/
    ├── guard.json            model: the folder of the checkpoint, beside this file
    └── model/                config.json, model.safetensors (adapters merged), tokenizer

Owns loading any such checkpoint with one output. It is read token by token like every guard here,
so it scores a prompt, then prompt and answer, from one cache. Knows no training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from charter.errors import DataError, ModelError, boundary
from charter.guard import guard_file
from charter.guard.decision import Thresholds
from charter.guard.heads import ValueHead
from charter.guard.readout_guard import word_heads
from charter.guard.token_classifier import Reading, TokenClassifier
from charter.models import hf
from charter.models.hf import HFModel

KIND, MODEL = "sequence", "model"
_LOAD_ERRORS = (OSError, ValueError, KeyError, RuntimeError, SafetensorError)


class SequenceCard(msgspec.Struct, frozen=True):
    """What `guard.json` says of this kind."""

    model: str = MODEL
    """Folder of the checkpoint: a path, relative to the guard's."""
    reading: Reading = Reading()
    kind: str = KIND
    thresholds: Thresholds = Thresholds()
    window: int | None = None
    about: dict[str, Any] = {}


def load(folder: Path) -> TokenClassifier:
    """The classifier in a folder.

    Raises:
        DataError: the card is wrong, or the classifier has more than one output.
        ModelError: the checkpoint cannot be loaded.
    """
    card = guard_file.read(folder, SequenceCard)
    path = folder / card.model
    with boundary(ModelError, f"loading {path}", catch=_LOAD_ERRORS), hf.quiet_loading():
        tokenizer = AutoTokenizer.from_pretrained(path)
        net = AutoModelForSequenceClassification.from_pretrained(
            path, dtype=torch.float32, use_safetensors=True
        )
    if torch.cuda.is_available():
        net = nn.Module.cuda(net)
    identity = f"{KIND}@{hf.revision(path)}"
    model = HFModel(net.eval(), tokenizer, identity)
    return TokenClassifier(model, value_head(net, path), identity, card.reading, word_heads(folder))


def value_head(net: nn.Module, named: Path | str) -> ValueHead:
    """The score head of a sequence classifier with one output.

    Raises:
        DataError: it has none, or more outputs.
    """
    score = getattr(net, "score", None)
    if not isinstance(score, nn.Linear) or score.out_features != 1:
        raise DataError(
            "is no sequence classifier with one output", file=named, expected="num_labels = 1"
        )
    bias = 0.0 if score.bias is None else float(score.bias)
    return ValueHead(score.weight[0].detach(), bias)
