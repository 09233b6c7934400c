"""Weights that PyTorch has cut into shards, one a process (FSDP2), put together again and back.

Owns telling such a network, and its whole weights. Every function must be called in all processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    set_model_state_dict,
)
from torch.distributed.tensor import DTensor

State = dict[str, torch.Tensor]


def in_shards(net: nn.Module) -> bool:
    """Whether this process has no more than its shard of some weights."""
    return any(isinstance(parameter, DTensor) for parameter in net.parameters())


def whole_state(net: nn.Module) -> State | None:
    """All weights by name, on the CPU: gathered in the first process, and none in the others.

    None where the network has all of its weights itself, so that nothing need be copied.
    """
    if not in_shards(net):
        return None
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    state: dict[str, Any] = get_model_state_dict(net, options=options)
    # A tied weight has two names there, and must be written once.
    once = {name for name, _ in (*net.named_parameters(), *net.named_buffers())}
    return {name: value for name, value in state.items() if name in once}


def put_back(net: nn.Module, saved: Mapping[str, torch.Tensor]) -> None:
    """Set some weights of a network, sharded or not, from whole ones that every process has."""
    if in_shards(net):
        options = StateDictOptions(full_state_dict=True, strict=False)
        unknown = set_model_state_dict(net, dict(saved), options=options).unexpected_keys
    else:
        unknown = net.load_state_dict(saved, strict=False).unexpected_keys
    assert not unknown, unknown
