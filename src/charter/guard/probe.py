"""The probe: a linear head on the hidden states that the served model computes anyway.

Owns reading them as the model generates (a hook a layer), smoothing, and counting what it costs.
Knows no server. z_t = W'psi_t + b over all chosen layers, one EMA: one number of state a stream
(Constitutional Classifiers++, arXiv 2601.04603).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from charter.guard.smoothing import Smoothing
from charter.models.frozen import PackedLinear
from charter.models.hf import HFModel


@dataclass(frozen=True, slots=True)
class Probe:
    """A direction in the hidden states of chosen layers.

    Attributes:
        weights_LD: one row a layer.
        bias: added.
        layers: numbers of the layers; 1 is the output of the first block.
        smoothing: an EMA.
    """

    weights_LD: np.ndarray
    bias: float
    layers: tuple[int, ...]
    smoothing: Smoothing = field(default_factory=lambda: Smoothing("ema"))

    def __post_init__(self) -> None:
        assert self.smoothing.kind == "ema", "a probe keeps one number a stream"
        assert len(self.weights_LD) == len(self.layers), (self.weights_LD.shape, self.layers)

    @contextmanager
    def watching(self, model: HFModel) -> Iterator[ProbeRun]:
        """Read one answer as `model` generates it, one row at a time.

        The first pass through the model is taken for the prompt: the stream starts after it.
        """
        run = ProbeRun(self, model)
        handles = [
            block.register_forward_hook(run.hook(place))
            for place, block in _blocks(model, self.layers)
        ]
        try:
            yield run
        finally:
            for handle in handles:
                handle.remove()

    def flops(self) -> int:
        """Floating-point operations a token."""
        return 2 * int(self.weights_LD.size) + 3

    def flop_fraction(self, model: HFModel, context: int = 0) -> float:
        """Operations a token, as a share of the model's own forward pass.

        Args:
            model: the served model.
            context: tokens before this one, which attention looks at.
        """
        # Linear layers and the head are multiplied; the embedding is looked up.
        products = [m for m in model.net.modules() if isinstance(m, nn.Linear | PackedLinear)]
        weights = sum(m.in_features * m.out_features for m in products)
        attention = 4 * context * model.hidden_size * model.layers
        return self.flops() / (2 * weights + attention)


class ProbeRun:
    """One stream being watched. `score` is in [0, 1]; `logits` has one entry a token.

    Args:
        probe: the head.
        model: whose weights decide device and type.
    """

    def __init__(self, probe: Probe, model: HFModel) -> None:
        self.probe, self.state = probe, probe.smoothing.prior
        self.logits: list[float] = []
        self._weights = torch.tensor(probe.weights_LD, device=model.device, dtype=model.net.dtype)
        self._sum: torch.Tensor | None = None
        self._prompt = True

    @property
    def score(self) -> float:
        """Probability that the answer so far is harmful."""
        return float(1 / (1 + np.exp(-np.clip(self.state, -30, 30))))

    def hook(self, place: int) -> Any:
        """The hook of the `place`-th of the chosen layers."""
        weights_D, last = self._weights[place], place == len(self._weights) - 1

        def read(module: Any, inputs: Any, output: Any) -> None:
            states = output[0] if isinstance(output, tuple) else output
            assert len(states) == 1, "a probe watches one row"
            # The last token alone: those of the prompt are no part of the answer.
            part = states[0, -1] @ weights_D
            self._sum = part if self._sum is None or place == 0 else self._sum + part
            if last:
                self._token(self._sum)

        return read

    def _token(self, sum_: torch.Tensor) -> None:
        if self._prompt:  # its last token says nothing of an answer yet
            self._prompt = False
            return
        logit = float(sum_) + self.probe.bias
        self.logits.append(logit)
        self.state = self.probe.smoothing.step(self.state, logit)


def _blocks(model: HFModel, layers: tuple[int, ...]) -> list[tuple[int, Any]]:
    """The chosen blocks in order; the last layer's states are read after the final norm."""
    backbone = model.backbone()
    blocks, norm = backbone.layers, getattr(backbone, "norm", None)
    assert tuple(sorted(layers)) == layers, "layers go from first to last"
    chosen = []
    for place, layer in enumerate(layers):
        # As transformers' `hidden_states` has it: the last entry is normalised.
        final = layer == model.layers and norm is not None
        chosen.append((place, norm if final else blocks[layer - 1]))
    return chosen
