"""The processes that train one model together, as `accelerate launch` or `torchrun` start them.

Owns who writes, who waits, and the sharing of what each has measured. Started alone, a process is
the first of one, and nothing here does anything. Knows no model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from accelerate import PartialState  # type: ignore[import-untyped]
from torch import distributed

from charter.errors import TrainingError

T = TypeVar("T")


def count() -> int:
    """How many processes there are, by what the launcher says."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def join() -> None:
    """Meet the other processes and take this one's GPU; must come before any model is loaded.

    Raises:
        TrainingError: the launcher cuts the weights into shards. They would train, and then could
            not be put together again to be saved: said now, and not at the end.
    """
    if _in_shards():
        raise TrainingError("weights in shards (FSDP, ZeRO-3) cannot be saved yet: use DDP")
    if count() > 1:
        PartialState(cpu=not torch.cuda.is_available())


def rank() -> int:
    """Number of this process; the first one (0) writes."""
    return distributed.get_rank() if _together() else 0


def written(write: Callable[[], object]) -> None:
    """Let the first process write, and the others wait until it has.

    What was written must lie where all processes see it: on several nodes, a shared folder.
    """
    if rank() == 0:
        write()
    if _together():
        distributed.barrier()


def shared_out(items: Sequence[Any], work: Callable[[Sequence[Any]], list[T]]) -> list[T]:
    """Results of `work`, one an item and in their order, each process doing its share.

    Args:
        items: the same in all processes.
        work: called once in each process; gives plain Python values.
    """
    mine = work(items[rank() :: count()]) if _together() else work(items)
    if not _together():
        return mine
    parts: list[list[T]] = [[] for _ in range(count())]
    distributed.all_gather_object(parts, mine)
    return [parts[place % count()][place // count()] for place in range(len(items))]


def by_first(items: Sequence[Any], work: Callable[[Sequence[Any]], list[T]]) -> list[T]:
    """Results of `work`, done by the first process for the items of all; each gets its own.

    Args:
        items: those of this process, at least one.
        work: called in the first process only, with the items process by process.
    """
    if not _together():
        return work(items)
    everything: list[list[Any]] = [[] for _ in range(count())]
    distributed.all_gather_object(everything, list(items))
    found = [work([item for part in everything for item in part]) if rank() == 0 else []]
    distributed.broadcast_object_list(found)
    before = sum(len(part) for part in everything[: rank()])
    return found[0][before : before + len(items)]


def said_by_first(value: T) -> T:
    """What the first process says, whatever the others would."""
    said = [value]
    if _together():
        distributed.broadcast_object_list(said)
    return said[0]


def summed(values: torch.Tensor) -> torch.Tensor:
    """The sum over all processes."""
    if _together():
        values = values.clone()
        distributed.all_reduce(values)
    return values


def _in_shards() -> bool:
    """What `accelerate launch` says in the environment of each process."""
    zero = os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE") == "3"
    deepspeed = os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true"
    fsdp = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
    return fsdp or (deepspeed and zero)


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized() and count() > 1
