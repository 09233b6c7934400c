"""Where the work of a data stage runs: in this process, unless a run says otherwise.

Owns the one seam between stages and engines. A stage calls `local.process` and knows no engine;
`using` puts another `Mapper` in its place for as long as a run lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

Work = Callable[[Sequence[Any]], Sequence[Any]]
"""What a stage does to a chunk: one record or `Dropped` an item, in order."""
Results = Generator[tuple[list[Any], Sequence[Any]], None, None]
"""Groups and what became of them. To be closed by whoever stops reading early."""


class Mapper(Protocol):
    """Does the work of a stage, somewhere."""

    def __call__(self, work: Work, groups: Iterable[list[Any]]) -> Results:
        """Every group with its outcomes, each group once and in the order of `groups`.

        Groups are read as they are needed, so that memory does not grow with their number.
        """


def in_process(work: Work, groups: Iterable[list[Any]]) -> Results:
    """The `Mapper` of the local engine: one group after another, here."""
    for group in groups:
        yield group, work(group)


_MAPPER: ContextVar[Mapper] = ContextVar("mapper", default=in_process)


def current() -> Mapper:
    """The mapper in force."""
    return _MAPPER.get()


@contextmanager
def using(mapper: Mapper) -> Iterator[None]:
    """Let stages run on this mapper."""
    token = _MAPPER.set(mapper)
    try:
        yield
    finally:
        _MAPPER.reset(token)
