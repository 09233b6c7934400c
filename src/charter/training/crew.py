"""One process leads a run, and the others only train with it.

    accelerate launch --num_processes 4 -m charter.cli.main run RECIPE

starts the whole command in every process. The first one holds the run and goes through its stages
alone. The others wait. When a stage trains, they are told what, and train with it. Owns this
telling: it knows no stage, and the others see nothing of the run but the checkpoints that they
train from.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from charter.training import processes

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def assembled() -> Iterator[bool]:
    """Whether this process leads; a process that does not gets there when all is done.

    Alone, a process leads nobody. If a training fails, the others are not told: it has failed in
    them too, or their launcher ends them.

    Raises:
        TrainingError: what the leader trained with this process failed.
    """
    if processes.count() == 1:
        yield True
        return
    processes.join()
    if processes.rank() > 0:
        _follow()
        yield False
    else:
        yield from _lead()
    processes.leave()


def together(**others: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a training in which the others take part when the leader calls it.

    Outside of `assembled` nothing changes: all processes are to call it.

    Args:
        others: what the others get in place of arguments that only the leader can have, such as a
            callable that draws its progress. What is left must be plain data.
    """

    def mark(train: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(train)

        @wraps(train)
        def trained(*args: P.args, **kwargs: P.kwargs) -> R:
            if not processes.is_apart():
                return train(*args, **kwargs)
            given = signature.bind(*args, **kwargs).arguments
            with processes.apart(False):
                processes.said_by_first((trained, {**given, **others}))
                found = train(*args, **kwargs)
            return found

        return trained

    return mark


def _lead() -> Iterator[bool]:
    with processes.apart():
        try:
            yield True
        finally:
            # Otherwise the others are busy with what has just failed.
            if processes.is_apart():
                _dismiss()


def _dismiss() -> None:
    with processes.apart(False):
        processes.said_by_first(None)


def _follow() -> None:
    nothing: Any = None
    while (told := processes.said_by_first(nothing)) is not None:
        train, arguments = told
        train(**arguments)
