"""Embeddings of sentences: mean hidden states of a model's last layer, less what all texts share.

Hidden states of any two texts point much the same way. So the mean over a set of reference texts is
taken off first: what is left is in what a text differs from them. Owns no threshold.

Shape suffixes: N texts, D hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from charter.models.hf import HFModel
from charter.readout.features import FeatureReader, FeatureSettings
from charter.records import Message

_CONTEXT = (Message("user", "State the rule."),)


class SentenceEmbedder:
    """Texts → vectors, to be compared by their cosine.

    Args:
        model: whose hidden states are read.
        reference: texts of the same sort, at least one; their mean is the origin.
    """

    def __init__(self, model: HFModel, reference: Sequence[str]) -> None:
        assert reference
        self._reader = FeatureReader(model, FeatureSettings(layer_step=model.layers))
        self._centre_D = self._read(reference).mean(0)

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text, in order."""
        if not texts:
            return []
        rows: list[list[float]] = (self._read(texts) - self._centre_D).tolist()
        return rows

    def _read(self, texts: Sequence[str]) -> np.ndarray:
        return self._reader.read([(_CONTEXT, text) for text in texts])
