"""Losses of linear heads that score every token, and their fits.

    swim            sliding-window mean of logits, weighted by its own softmax
                    (Constitutional Classifiers++, arXiv 2601.04603)
    cumulative max  token-wise cross-entropy of a probability that passes over into its running
                    maximum (Constitutional Classifiers, arXiv 2501.18837): the baseline

Owns the formulas and the optimiser. Features come in, a direction goes out; what they are features
of is the caller's business. Both losses know only one label for a whole text.

Shape suffixes: N texts, T tokens (the longest), F features, W windows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits

Loss = Literal["swim", "cumulative-max"]
WINDOW, TEMPERATURE = 16, 1.0
_STEPS = 300


@dataclass(frozen=True, slots=True)
class Fit:
    """A direction and a bias: logit = features · weights + bias."""

    weights_F: np.ndarray
    bias: float


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Texts padded on the right."""

    features_NTF: torch.Tensor
    lengths_N: torch.Tensor
    labels_N: torch.Tensor
    weights_N: torch.Tensor
    """Sum 1; both labels weigh the same."""


def fit(
    texts: Sequence[np.ndarray],
    labels_N: np.ndarray,
    loss: Loss,
    *,
    penalty: float = 1e-2,
    start: Fit | None = None,
    steps: int = _STEPS,
) -> Fit:
    """Fit a head on every token of texts with one label each.

    Args:
        texts: features of each text's tokens, float [T, F], standardised; T at least 1.
        labels_N: 1 or 0.
        loss: which.
        penalty: of the squared weights.
        start: where to begin; zero if not given.
        steps: of Adam, on all texts at once.
    """
    batch = _padded(texts, labels_N)
    width = batch.features_NTF.shape[-1]
    first = np.zeros(width) if start is None else start.weights_F
    weights = torch.tensor(first, dtype=torch.float32, requires_grad=True)
    bias = torch.tensor(0.0 if start is None else start.bias, requires_grad=True)
    optimiser = torch.optim.Adam([weights, bias], lr=0.02)
    for step in range(steps):
        optimiser.zero_grad()
        logits_NT = batch.features_NTF @ weights + bias
        losses_N = _LOSSES[loss](logits_NT, batch.lengths_N, batch.labels_N, step / steps)
        total = (losses_N * batch.weights_N).sum() + penalty * weights.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return Fit(weights.detach().numpy(), float(bias.detach()))


def swim_loss(
    logits_NT: torch.Tensor, lengths_N: torch.Tensor, labels_N: torch.Tensor, annealed: float = 1.0
) -> torch.Tensor:
    """SWiM loss of each text [N].

    Windows of `WINDOW` tokens begin once that many have come; a shorter text is one mean. A window
    weighs by the softmax of its logit, so a few harmful sentences can carry the label of a long
    text. The weights carry no gradient: they say where to look, not what to learn.
    """
    window = min(WINDOW, logits_NT.shape[1])
    logits_NT = _masked(logits_NT, lengths_N)
    sums_NT = torch.nn.functional.pad(logits_NT.cumsum(1), (1, 0))
    means_NW = (sums_NT[:, window:] - sums_NT[:, :-window]) / window
    ends_W = torch.arange(window, window + means_NW.shape[1])
    within_NW = ends_W[None] <= lengths_N[:, None]
    whole_N = sums_NT[:, -1] / lengths_N
    short_N = lengths_N < window
    first_N = torch.where(short_N, whole_N, means_NW[:, 0])
    means_NW = torch.cat([first_N[:, None], means_NW[:, 1:]], 1)
    within_NW = torch.cat([torch.ones_like(within_NW[:, :1]), within_NW[:, 1:]], 1)
    scores_NW = (means_NW.detach() / TEMPERATURE).masked_fill(~within_NW, -torch.inf)
    targets_NW = labels_N[:, None].expand_as(means_NW)
    losses_NW = binary_cross_entropy_with_logits(means_NW, targets_NW, reduction="none")
    return (scores_NW.softmax(1) * losses_NW.masked_fill(~within_NW, 0)).sum(1)


def cumulative_max_loss(
    logits_NT: torch.Tensor, lengths_N: torch.Tensor, labels_N: torch.Tensor, annealed: float
) -> torch.Tensor:
    """Mean token-wise cross-entropy [N] of p_t = (1-w) s(z_t) + w max_{u<=t} s(z_u).

    Args:
        logits_NT: z.
        lengths_N: tokens of each text.
        labels_N: 1 or 0.
        annealed: w, from 0 to 1 over the fit.
    """
    token_NT = logits_NT.sigmoid()
    highest_NT = token_NT.cummax(1).values
    p_NT = ((1 - annealed) * token_NT + annealed * highest_NT).clamp(1e-6, 1 - 1e-6)
    targets_NT = labels_N[:, None].expand_as(p_NT)
    losses_NT = binary_cross_entropy(p_NT, targets_NT, reduction="none")
    return _masked(losses_NT, lengths_N).sum(1) / lengths_N


_LOSSES: dict[Loss, Callable[..., torch.Tensor]] = {
    "swim": swim_loss,
    "cumulative-max": cumulative_max_loss,
}


def _masked(values_NT: torch.Tensor, lengths_N: torch.Tensor) -> torch.Tensor:
    places_T = torch.arange(values_NT.shape[1])
    return values_NT.masked_fill(places_T[None] >= lengths_N[:, None], 0.0)


def _padded(texts: Sequence[np.ndarray], labels_N: np.ndarray) -> TokenBatch:
    lengths = [len(text) for text in texts]
    assert min(lengths) > 0, "a text without tokens has nothing to learn from"
    features_NTF = torch.zeros(len(texts), max(lengths), texts[0].shape[1])
    for row, text in zip(features_NTF, texts, strict=True):
        row[: len(text)] = torch.from_numpy(np.asarray(text, dtype=np.float32))
    labels = torch.tensor(np.asarray(labels_N), dtype=torch.float32)
    share = labels.mean()
    assert 0 < share < 1, "both labels are needed"
    weights = torch.where(labels > 0, 0.5 / share, 0.5 / (1 - share)) / len(texts)
    return TokenBatch(features_NTF, torch.tensor(lengths), labels, weights)
