"""Several examples in one row, so that short ones cost no padding, and none sees another.

Owns which examples share a row, and the layout in which a network tells them apart: positions begin
anew with each example, and there is no attention mask. transformers reads the boundaries off the
positions and keeps attention within them. Knows no loss.

Shape suffixes: B packs, T tokens.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from charter.training.examples import TokenRow


@dataclass(frozen=True, slots=True)
class Pack:
    """Examples that share a row of a batch."""

    rows: tuple[TokenRow, ...]

    def __len__(self) -> int:
        return sum(len(row) for row in self.rows)


def packed(rows: Sequence[TokenRow], length: int) -> list[Pack]:
    """Put rows together into packs of at most `length` tokens.

    The longest rows first, each into the fullest pack that still has room (best fit decreasing,
    Johnson 1974): at most 11/9 of the packs that the best packing has, and a few more. A row that
    is longer than `length` has a pack of its own.
    """
    packs: list[list[TokenRow]] = []
    room: list[tuple[int, int]] = []
    for row in sorted(rows, key=len, reverse=True):
        place = bisect_left(room, (len(row), -1))
        left, index = room.pop(place) if place < len(room) else (length, len(packs))
        if index == len(packs):
            packs.append([])
        packs[index].append(row)
        insort(room, (left - len(row), index))
    return [Pack(tuple(pack)) for pack in packs]


def lay_out_packs(packs: Sequence[Pack]) -> dict[str, torch.Tensor]:
    """`input_ids`, `position_ids` and boolean `target_mask`, each [B, T], padded on the right.

    A place of padding is an example of its own, of one token.
    """
    width = max(len(pack) for pack in packs)
    ids_BT = torch.zeros(len(packs), width, dtype=torch.long)
    positions_BT, targets_BT = torch.zeros_like(ids_BT), torch.zeros_like(ids_BT, dtype=torch.bool)
    for index, pack in enumerate(packs):
        start = 0
        for row in pack.rows:
            # An answer's first token is predicted from its prompt's last one.
            assert row.prompt, "a row without a prompt would be predicted from its neighbour"
            end = start + len(row)
            ids_BT[index, start:end] = torch.tensor(row.prompt + row.answer)
            positions_BT[index, start:end] = torch.arange(len(row))
            targets_BT[index, start + len(row.prompt) : end] = True
            start = end
    return {"input_ids": ids_BT, "position_ids": positions_BT, "target_mask": targets_BT}
