"""Features of an answer: the mean of a model's hidden states over the answer's tokens.

Owns: how a conversation and its answers are laid out, cut and pooled. Answers to the same
conversation share one pass over it. What the features mean is for a readout to learn.

Shape suffixes: N answers, L layers read, D hidden size, F = L*D features, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from charter.models.hf import HFModel
from charter.models.scoring import Tree
from charter.records import Message, Record

Exchange = tuple[tuple[Message, ...], str]
"""A conversation that ends with the user's turn, and one answer to it."""


class FeatureSettings(Record, frozen=True):
    """How features are read; a readout fits only the settings it was trained with."""

    layer_step: int = 2
    """Every n-th layer, counted so that the last one is among them."""
    max_context: int = 160
    """Tokens of the conversation kept (the last ones)."""
    max_answer: int = 112
    """Tokens of the answer kept (the first ones)."""


class FeatureReader:
    """Reads features with one model.

    Args:
        model: whose hidden states are read.
        settings: layers and cuts.
        keep: exchanges whose features are remembered, so that a swapped comparison costs nothing.
    """

    def __init__(
        self, model: HFModel, settings: FeatureSettings | None = None, *, keep: int = 4096
    ) -> None:
        self.model, self.settings, self.keep = model, settings or FeatureSettings(), keep
        self._known: dict[Exchange, np.ndarray] = {}
        self.tokens = 0

    @property
    def width(self) -> int:
        """Number of features, F."""
        return len(self._layers()) * self.model.hidden_size

    def read(self, exchanges: Sequence[Exchange]) -> np.ndarray:
        """Features of every exchange, float32 [N, F]."""
        wanted = dict.fromkeys(exchanges)
        unknown = [exchange for exchange in wanted if exchange not in self._known]
        fresh = self._compute(unknown)
        found = {**{e: self._known[e] for e in wanted if e in self._known}, **fresh}
        self._remember(fresh)
        return np.stack([found[exchange] for exchange in exchanges])

    def _compute(self, exchanges: Sequence[Exchange]) -> dict[Exchange, np.ndarray]:
        answers: dict[tuple[Message, ...], list[str]] = {}
        for context, answer in exchanges:
            answers.setdefault(context, []).append(answer)
        trees = [self._tree(context, texts) for context, texts in answers.items()]
        self.tokens += sum(len(tree) for tree in trees)
        pooled = self.model.activations(trees, self._pool)
        return {
            (context, text): feature.numpy()
            for (context, texts), row in zip(answers.items(), pooled, strict=True)
            for text, feature in zip(texts, row, strict=True)
        }

    def _tree(self, context: tuple[Message, ...], answers: Sequence[str]) -> Tree:
        stem = self.model.render(context)
        if len(stem) > self.settings.max_context:
            # The first token is kept: attention leans on it, and without it activations shift.
            stem = [*stem[:1], *stem[-self.settings.max_context :]]
        return Tree(tuple(stem), tuple(self._answer(text) for text in answers))

    def _answer(self, text: str) -> tuple[int, ...]:
        ids = self.model.encode(text.strip())[: self.settings.max_answer]
        return tuple(ids or self.model.end_ids()[:1])

    def _pool(self, states: tuple[torch.Tensor, ...], row: int, span: slice) -> torch.Tensor:
        means = [states[layer][row, span].mean(0) for layer in self._layers()]
        return torch.cat(means).float().cpu()

    def _layers(self) -> list[int]:
        step, last = self.settings.layer_step, self.model.layers
        return list(range(last, 0, -step))[::-1]

    def _remember(self, fresh: dict[Exchange, np.ndarray]) -> None:
        if len(self._known) + len(fresh) > self.keep:
            self._known.clear()
        self._known.update(list(fresh.items())[-self.keep :])
