"""What is read off a model's hidden states: heads of numbers a token, and what they add up to.

Owns the two sets of heads. `ReadoutHeads` are linear in the activations of many layers of a model
that stays as it is: safetensors of our own. `ValueHead` is the score head of a fine-tuned
sequence classifier, on its last layer: a plain Hugging Face checkpoint. Both are linear, so a mean
over tokens is a mean of numbers, and a stream needs no activations of the past.

Shape suffixes: T tokens, F features (layers * hidden size), K axes (harmful, then categories),
P numbers a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from charter.errors import ModelError
from charter.guard.probe import Probe
from charter.guard.smoothing import Smoothing
from charter.records import digest

WEIGHTS = "heads.safetensors"
_NAMES = ("prompt_mean", "prompt_last", "prompt_bias", "answer", "answer_bias")


class Heads(Protocol):
    """Numbers a token, and the logits that they make."""

    def project(self, states: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """From hidden states, each [1, T, D], to numbers [T, P]."""

    def prompt(self, numbers_TP: np.ndarray) -> np.ndarray:
        """Logits [K] of a rendered conversation: harmful, then one for each category."""

    def answer(self, numbers_TP: np.ndarray) -> np.ndarray:
        """Logit of each token of an answer [T]."""


@dataclass(frozen=True)
class ReadoutHeads:
    """Linear heads on activations.

    Attributes:
        prompt_mean_KF: on the mean over all tokens of the conversation but the first.
        prompt_last_KF: on its last token.
        prompt_bias_K: added.
        answer_F: on each token of the answer.
        answer_bias: added.
        layers: whose activations, from first to last, make up the F features.
    """

    prompt_mean_KF: np.ndarray
    prompt_last_KF: np.ndarray
    prompt_bias_K: np.ndarray
    answer_F: np.ndarray
    answer_bias: float
    layers: tuple[int, ...]

    def project(self, states: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """See `Heads`."""
        features_TF = torch.cat([states[layer][0] for layer in self.layers], dim=-1)
        return features_TF @ self._stacked.to(features_TF)

    def prompt(self, numbers_TP: np.ndarray) -> np.ndarray:
        """See `Heads`."""
        axes = len(self.prompt_bias_K)
        # The first token's activations are huge and always the same: a mean over them is a length.
        mean_K = numbers_TP[min(1, len(numbers_TP) - 1) :, :axes].mean(0)
        last_K = numbers_TP[-1, axes : 2 * axes]
        return np.asarray(mean_K + last_K + self.prompt_bias_K)

    def answer(self, numbers_TP: np.ndarray) -> np.ndarray:
        """See `Heads`."""
        return np.asarray(numbers_TP[:, -1] + self.answer_bias)

    def probe(self, smoothing: Smoothing) -> Probe:
        """The answer's head as a probe of the served model."""
        weights_LD = self.answer_F.reshape(len(self.layers), -1)
        return Probe(weights_LD, self.answer_bias, self.layers, smoothing)

    @property
    def identity(self) -> str:
        """Digest of every number, at the precision in which it is saved, and of the layers."""
        plain = {name: a.tobytes().hex() for name, a in self._arrays().items()}
        return digest([plain, self.layers], length=12)

    def save(self, folder: Path) -> None:
        """Write `heads.safetensors`, in half precision."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self._arrays(), folder / WEIGHTS)

    @cached_property
    def _stacked(self) -> torch.Tensor:
        """[F, 2K + 1]."""
        rows = [self.prompt_mean_KF, self.prompt_last_KF, self.answer_F[None]]
        return torch.tensor(np.concatenate(rows).T, dtype=torch.float32)

    def _arrays(self) -> dict[str, np.ndarray]:
        values: tuple[Any, ...] = (
            self.prompt_mean_KF,
            self.prompt_last_KF,
            self.prompt_bias_K,
            self.answer_F,
            np.array([self.answer_bias]),
        )
        # Biases are not small beside the weights' rounding: they keep their digits.
        kinds = (np.float16, np.float16, np.float32, np.float16, np.float32)
        named = zip(_NAMES, values, kinds, strict=True)
        return {name: np.ascontiguousarray(a, dtype=kind) for name, a, kind in named}


def load_heads(folder: Path, layers: tuple[int, ...]) -> ReadoutHeads:
    """Read heads that `save` wrote.

    Raises:
        ModelError: the folder holds none, or damaged ones.
    """
    try:
        arrays = load_file(folder / WEIGHTS)
        mean, last, bias, answer, (answer_bias,) = (
            arrays[name].astype(np.float32) for name in _NAMES
        )
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise ModelError(f"no heads of a guard in {folder}: {error}") from error
    fits = mean.shape == last.shape == (len(bias), len(answer)) and len(answer) % len(layers) == 0
    if not fits:
        raise ModelError(f"the heads in {folder} do not fit each other or their layers")
    return ReadoutHeads(mean, last, bias, answer, float(answer_bias), layers)


@dataclass(frozen=True, slots=True)
class ValueHead:
    """The score head of a sequence classifier, on the last hidden state. One axis: harmful."""

    weights_D: torch.Tensor
    bias: float = 0.0

    def project(self, states: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """See `Heads`."""
        return states[-1][0] @ self.weights_D[:, None] + self.bias

    def prompt(self, numbers_TP: np.ndarray) -> np.ndarray:
        """See `Heads`. Read at the last token, which has seen everything."""
        return np.asarray(numbers_TP[-1])

    def answer(self, numbers_TP: np.ndarray) -> np.ndarray:
        """See `Heads`."""
        return np.asarray(numbers_TP[:, 0])
