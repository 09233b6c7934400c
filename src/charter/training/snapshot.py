"""The trainable weights of a network, set aside in memory and put back.

Owns the copy, on the CPU: an adapter costs next to nothing, a whole model as much as it weighs.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn


class Snapshot:
    """Keeps one state of the weights that require gradients."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        self._kept: dict[str, torch.Tensor] = {}

    def keep(self) -> None:
        """Set the weights aside, in place of any that were before."""
        moving = {n: p for n, p in self.net.named_parameters() if p.requires_grad}
        self._kept = {name: p.detach().cpu().clone() for name, p in moving.items()}

    @property
    def kept(self) -> dict[str, torch.Tensor]:
        """What was set aside, by name; empty if nothing was."""
        return self._kept

    def recall(self, kept: Mapping[str, torch.Tensor]) -> None:
        """Set aside what an earlier process had kept."""
        self._kept = dict(kept)

    @torch.no_grad()
    def restore(self) -> bool:
        """Put back what was set aside; False if nothing was."""
        for name, parameter in self.net.named_parameters():
            if name in self._kept:
                parameter.copy_(self._kept[name])
        return bool(self._kept)
