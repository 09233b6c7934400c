"""The kind `readout`: linear heads on a model's activations. Its folder, saved and loaded.

    DIR/
    ├── guard.json            card: model, layers, mixture, thresholds, figures
    ├── heads.safetensors
    ├── adapter/              merged into the model that is read, where there is one; and the score
    │                         head that it was trained with, which is part of the heads
    └── words-prompt/ words-answer/     heads over words: part of the score, and the baseline

Owns the card. Knows neither fitting nor thresholds.

Shape suffixes: D hidden size.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from safetensors.numpy import load_file

from charter.errors import ModelError
from charter.guard import guard_file
from charter.guard.decision import Thresholds
from charter.guard.heads import load_heads
from charter.guard.token_classifier import Reading, TokenClassifier
from charter.models import hf
from charter.models.hf import HFModel
from charter.readout.words import WordsHead, has_words, load_words
from charter.records import digest

KIND, STAGES, ADAPTER = "readout", ("prompt", "answer"), "adapter"
SCORE = "score.safetensors"


class ReadoutCard(msgspec.Struct, frozen=True):
    """What `guard.json` says of this kind."""

    model: str
    """Name to load: `embedded`, a folder, a hub name."""
    revision: str
    """Identity of the model that the heads were fitted on; they fit no other."""
    layers: tuple[int, ...]
    reading: Reading = Reading()
    kind: str = KIND
    thresholds: Thresholds = Thresholds()
    window: int | None = None
    adapter: bool = False
    """Whether the model is read with the adapter beside this file."""
    about: dict[str, Any] = {}
    """Data, licence, figures, limits."""


def load(folder: Path) -> TokenClassifier:
    """The classifier in a folder.

    Raises:
        DataError: the card is wrong.
        ModelError: the model is missing, or is not the one that the heads were fitted on.
    """
    card = guard_file.read(folder, ReadoutCard)
    model = model_of(card.model, *([str(folder / ADAPTER)] if card.adapter else []))
    if model.identity != card.revision:
        raise ModelError(
            f"the guard in {folder} was fitted on {card.revision}, and {card.model!r} is "
            f"{model.identity} here"
        )
    heads = load_heads(folder, card.layers)
    words = word_heads(folder)
    known = digest([heads.identity, card.reading, {s: w.identity for s, w in words.items()}])
    return TokenClassifier(model, heads, f"{KIND}@{known}+{model.identity}", card.reading, words)


def score_head(adapter: Path) -> np.ndarray | None:
    """Weights [D] of the score head that an adapter was trained with; None if it has none."""
    file = adapter / SCORE
    return load_file(file)["weight"] if file.exists() else None


def word_heads(folder: Path) -> dict[str, WordsHead]:
    """Heads over words in a guard's folder, by stage. Raises `ModelError` if one is damaged."""
    found = {stage: folder / f"words-{stage}" for stage in STAGES}
    return {stage: load_words(path) for stage, path in found.items() if has_words(path)}


@lru_cache(maxsize=2)
def model_of(name: str, *adapters: str) -> HFModel:
    """The model of that name, with adapters merged; guards that read the same one share it."""
    return hf.load(name, adapters=adapters)
