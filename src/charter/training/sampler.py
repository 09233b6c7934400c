"""The order in which examples and prompts are visited.

Owns the trade between padding and randomness: like lengths lie side by side, in a random order.
Knows lengths and counts only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler

from charter.seeds import draws

_WINDOW = 8
"""Batches within which examples are sorted: wide enough to save most padding, narrow enough that
a small data set is not visited from long to short."""


NOBODY = -1
"""Stands in the place of an example where there is none left."""


def lap_order(count: int, places: range, *names: str | int) -> Iterator[int]:
    """Which of `count` things stands at each place of an endless row of laps.

    Every lap has each thing once, in an order of its own.

    Args:
        count: things a lap.
        places: places asked for.
        names: what the orders are drawn from; see `seeds.draws`.
    """
    known, order = -1, list(range(count))
    for place in places:
        lap, at = divmod(place, count)
        if lap != known:
            known, order = lap, list(range(count))
            draws(*names, lap).shuffle(order)
        yield order[at]


class LengthWindows(Sampler[int]):
    """Shuffle, sort by length within windows of a few batches, then shuffle the batches.

    Args:
        lengths: tokens of each example.
        batch: examples of an optimiser step, over all backward passes and all devices.
        seed: with the epoch's number, decides the order.
        even: fill up with `NOBODY` to a multiple of this. Several devices would otherwise fill the
            last batch up with examples that they have seen already.
    """

    def __init__(self, lengths: Sequence[int], *, batch: int, seed: int, even: int = 1) -> None:
        self.lengths, self.batch, self.seed, self.epoch = lengths, batch, seed, 0
        self.missing = -len(lengths) % even

    def __len__(self) -> int:
        return len(self.lengths) + self.missing

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
        ordered = [index for group in [*groups, *rest] for index in group]
        return iter(ordered + [NOBODY] * self.missing)

    def set_epoch(self, epoch: int) -> None:
        """Called by the loop before each epoch, and when training resumes within one."""
        self.epoch = epoch
