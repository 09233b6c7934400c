"""The processes that train one model together, as `accelerate launch` or `torchrun` start them.

Owns who writes, who waits, and the sharing of what each has measured. Started alone, a process is
the first of one, and nothing here does anything; the same holds while a process works `apart`.
Knows no model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import torch
from accelerate import PartialState  # type: ignore[import-untyped]
from torch import distributed

from charter.errors import TrainingError

T = TypeVar("T")
_PATIENCE = timedelta(days=30)
"""How long a process waits for another one that may be asking a judge."""
_apart = False


def count() -> int:
    """How many processes there are, by what the launcher says; one while this one is apart."""
    return 1 if _apart else int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def apart(yes: bool = True) -> Iterator[None]:
    """Let this process work as if there were no others, or, within that, with the others again.

    An error leaves things as they are: the others are then where it happened, or gone.
    """
    global _apart
    before, _apart = _apart, yes
    yield
    _apart = before


def is_apart() -> bool:
    """Whether this process works without the others."""
    return _apart


def join() -> None:
    """Meet the other processes and take this one's GPU; must come before any model is loaded.

    Raises:
        TrainingError: DeepSpeed cuts the weights into shards. They would train, and then could not
            be put together again to be saved: said now, and not at the end.
    """
    if _in_shards_of_deepspeed():
        raise TrainingError("weights in shards of DeepSpeed (ZeRO-3) cannot be saved: use FSDP")
    if count() > 1:
        PartialState(cpu=not torch.cuda.is_available())
        _patient()  # all must make it at the same place


def leave() -> None:
    """Part from the other processes for good; without it torch complains when the process ends."""
    if _together():
        distributed.destroy_process_group()


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
        distributed.barrier(_patient())


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
    distributed.all_gather_object(parts, mine, _patient())
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
    distributed.all_gather_object(everything, list(items), _patient())
    found = [work([item for part in everything for item in part]) if rank() == 0 else []]
    distributed.broadcast_object_list(found, group=_patient())
    before = sum(len(part) for part in everything[: rank()])
    return found[0][before : before + len(items)]


def said_by_first(value: T) -> T:
    """What the first process says, whatever the others would."""
    said = [value]
    if _together():
        distributed.broadcast_object_list(said, group=_patient())
    return said[0]


def summed(values: torch.Tensor) -> torch.Tensor:
    """The sum over all processes."""
    if _together():
        values = values.clone()
        distributed.all_reduce(values)
    return values


def fully_sharded() -> bool:
    """Whether the launcher says that PyTorch cuts the weights into shards (FSDP)."""
    return os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"


def _in_shards_of_deepspeed() -> bool:
    """What `accelerate launch` says in the environment of each process."""
    zero = os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE") == "3"
    return zero and os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true"


def _together() -> bool:
    return distributed.is_available() and distributed.is_initialized() and count() > 1


@cache
def _patient() -> distributed.ProcessGroup:
    """All processes, talking on the CPU: who waits keeps no GPU busy and does not give up."""
    group: distributed.ProcessGroup = distributed.new_group(backend="gloo", timeout=_PATIENCE)
    return group
