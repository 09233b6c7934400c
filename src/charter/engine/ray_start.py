"""Joining a Ray, or starting one on this machine. Knows nothing of work.

Ray gives its processes half a minute to come up, a limit without a setting, and leaves them running
when they miss it. What a busy machine has read from disk once it reads faster the next time: so a
failed start is cleared away and tried again.
"""

from __future__ import annotations

import logging
import os
import subprocess
import traceback
from collections.abc import Iterator
from contextlib import suppress

import ray
from ray._private.node import Node

from charter.errors import WorkError, boundary

TRIES = 3
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
"""Of a Ray that is started here: it calls nobody, and its inner workings stay off the terminal."""
_GRACE_S = 5.0
"""Seconds that a process of a failed start has to end by itself, and its children with it."""


def join(address: str) -> None:
    """Join a cluster.

    Raises:
        WorkError: there is none at this address.
    """
    with boundary(WorkError, f"joining Ray at {address!r}", catch=(Exception,)):
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)


def start(object_store_mb: int) -> None:
    """Start a Ray for this process, which ends with it.

    Args:
        object_store_mb: shared memory for what is on its way between processes.

    Raises:
        WorkError: it did not come up, several times in a row. None of its processes is left.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    tries = 1
    while (failure := _failure(object_store_mb)) is not None:
        if tries == TRIES:
            # Not chained: the failure holds what the failed start had open.
            raise WorkError(f"starting Ray on this machine failed {TRIES} times: {failure}")
        tries += 1


def _failure(object_store_mb: int) -> str | None:
    """Why a Ray does not come up; None if it does."""
    try:
        ray.init(
            address="local",
            object_store_memory=object_store_mb << 20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except Exception as error:  # a Ray that is too slow raises a plain one
        _clear_away(error)
        return f"{type(error).__name__}: {error}"
    return None


def _clear_away(error: Exception) -> None:
    """End the processes of a start that failed: Ray itself does so when this process ends."""
    for process in _started(error):
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
            continue
        process.kill()
        process.wait()


def _started(error: Exception) -> Iterator[subprocess.Popen[bytes]]:
    """The only one who knows these processes is the node that was being made when it failed."""
    seen = set[int]()
    for frame, _ in traceback.walk_tb(error.__traceback__):
        node = frame.f_locals.get("self")
        if isinstance(node, Node) and id(node) not in seen:
            seen.add(id(node))
            # The scheduler last started goes first: it ends the workers and agents that it has.
            for infos in reversed([*node.all_processes.values()]):
                yield from (info.process for info in infos)
            node.all_processes.clear()
