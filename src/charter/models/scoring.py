"""Shared-prefix scoring: one pass over a prefix and all the branches that continue it.

Owns: laying a prefix and its branches out in one row under a tree attention mask, and grouping
rows into batches of similar size. A branch sees its prefix and itself, never a sibling, and its
positions continue from the prefix: the result equals scoring each branch alone, while the prefix
is paid for once. Knows token ids only.

Shape suffixes: B rows, T tokens of a row (prefix and branches), D hidden size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Tree:
    """A prefix and the branches that each continue it (a branch may be empty)."""

    prefix: tuple[int, ...]
    branches: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.prefix) + sum(len(branch) for branch in self.branches)

    def spans(self) -> list[slice]:
        """Where each branch lies in the row."""
        start, spans = len(self.prefix), []
        for branch in self.branches:
            spans.append(slice(start, start + len(branch)))
            start += len(branch)
        return spans


@dataclass(frozen=True, slots=True)
class TreeBatch:
    """Model inputs for several trees, padded on the right."""

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    attention_mask: torch.Tensor
    """Boolean [B, 1, T, T]: may this query see that key?"""


def lay_out(trees: Sequence[Tree], device: torch.device | str = "cpu") -> TreeBatch:
    """Build the inputs for one batch of trees."""
    width = max(len(tree) for tree in trees)
    ids = torch.zeros(len(trees), width, dtype=torch.long)
    positions = torch.zeros(len(trees), width, dtype=torch.long)
    # Segment 0 is the prefix, 1.. the branches, -1 padding.
    segments = torch.full((len(trees), width), -1, dtype=torch.long)
    for row, tree in enumerate(trees):
        stem = len(tree.prefix)
        flat = [*tree.prefix, *(token for branch in tree.branches for token in branch)]
        ids[row, : len(flat)] = torch.tensor(flat, dtype=torch.long)
        positions[row, :stem] = torch.arange(stem)
        segments[row, :stem] = 0
        for number, span in enumerate(tree.spans(), start=1):
            positions[row, span] = stem + torch.arange(span.stop - span.start)
            segments[row, span] = number
    query, key = segments[:, :, None], segments[:, None, :]
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    # Padding sees itself, so that no row of the softmax is empty (an empty one is NaN).
    visible = ((key == 0) | (key == query)) & causal
    return TreeBatch(ids.to(device), positions.to(device), visible[:, None].to(device))


def batches(lengths: Sequence[int], *, max_tokens: int) -> Iterator[list[int]]:
    """Indices grouped longest first, so that rows x widest stays within `max_tokens`.

    Longest first means that the largest allocation comes first, and no later one fragments it.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    group: list[int] = []
    for index in order:
        if group and (len(group) + 1) * lengths[group[0]] > max_tokens:
            yield group
            group = []
        group.append(index)
    if group:
        yield group
