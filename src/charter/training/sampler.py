"""The order in which examples are visited: random, yet with like lengths side by side.

Owns the trade between padding and randomness. Knows lengths only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler

from charter.seeds import draws

_WINDOW = 8
"""Batches within which examples are sorted: wide enough to save most padding, narrow enough that
a small data set is not visited from long to short."""


class LengthWindows(Sampler[int]):
    """Shuffle, sort by length within windows of a few batches, then shuffle the batches.

    Args:
        lengths: tokens of each example.
        batch: examples that will be taken together, over all devices.
        seed: with the epoch's number, decides the order.
    """

    def __init__(self, lengths: Sequence[int], *, batch: int, seed: int) -> None:
        self.lengths, self.batch, self.seed, self.epoch = lengths, batch, seed, 0

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        """Indices of one epoch."""
        source = draws(self.seed, "order", self.epoch)
        order = list(range(len(self.lengths)))
        source.shuffle(order)
        sorted_: list[int] = []
        for start in range(0, len(order), _WINDOW * self.batch):
            window = order[start : start + _WINDOW * self.batch]
            sorted_ += sorted(window, key=lambda index: self.lengths[index])
        groups = [sorted_[i : i + self.batch] for i in range(0, len(sorted_), self.batch)]
        # A group that is not full must stay last, or every group after it would be cut askew.
        rest = [groups.pop()] if groups and len(groups[-1]) < self.batch else []
        source.shuffle(groups)
        return iter([index for group in [*groups, *rest] for index in group])

    def set_epoch(self, epoch: int) -> None:
        """Called by the loop before each epoch, and when training resumes within one."""
        self.epoch = epoch
