"""Map a function over items in fixed chunks, resumably, in flat memory.

Owns the loop that every data stage shares; where the function runs is the `mapping`'s business, in
this process unless a run says otherwise. A chunk is the unit of work: its boundaries depend on
the items alone, so a resumed run recomputes exactly the chunk that was cut short, from the same
batches, and writes the same bytes that an uninterrupted run would have written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, Protocol, TypeVar

from charter.engine.done import Done
from charter.engine.mapping import current
from charter.errors import StoreError
from charter.records import Dropped
from charter.store import DROPPED, Manifest, StageFolder

T = TypeVar("T")


class Progress(Protocol):
    """Told how far a stage is; the command draws it, tests ignore it."""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """`done` items of `total` (None if unknown)."""


def silent(stage: str, done: int, total: int | None) -> None:
    """A `Progress` that draws nothing."""


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Consecutive lists of `size` items, the last one shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def process(
    stage: StageFolder,
    items: Iterable[T],
    work: Callable[[Sequence[T]], Sequence[Any]],
    *,
    record_type: Any,
    identify: Callable[[Any], str],
    chunk: int = 48,
    total: int | None = None,
    progress: Progress = silent,
    notes: Callable[[], dict[str, Any]] = dict,
) -> Manifest:
    """Run `work` over `items`, writing what it yields, and finish the stage.

    Args:
        stage: the folder; if it has a manifest, nothing is done.
        items: input, read lazily.
        work: given a chunk, gives one record or `Dropped` an item, in order.
        record_type: type of the kept records, for reading them back.
        identify: the id of an item; its outcome must carry the same one.
        chunk: items a call. Part of what makes two runs identical: do not derive it from load.
        total: number of items, for the progress bar.
        progress: told after every chunk.
        notes: called at the end, for what else the manifest should say.

    Raises:
        StoreError: the stage cannot be written, or `work` lost an item.
    """
    if stage.manifest is not None:
        return stage.manifest
    started = time.monotonic()
    desk = _Desk(stage, record_type, identify, progress, total)
    with closing(Done(desk.ids())) as done:
        groups = desk.unfinished(chunks(items, chunk), done)
        with closing(current()(work, groups)) as results:
            for group, outcomes in results:
                desk.write(group, outcomes, done)
    return stage.finish(time.monotonic() - started, notes())


class _Desk:
    """Writes what a stage's work gives, and knows what it gave before."""

    def __init__(
        self,
        stage: StageFolder,
        record_type: Any,
        identify: Callable[[Any], str],
        progress: Progress,
        total: int | None,
    ) -> None:
        self.stage, self.identify, self.progress, self.total = stage, identify, progress, total
        self.kept, self.dropped = stage.log(record_type), stage.log(Dropped, DROPPED)
        self.count = 0
        for log in (self.kept, self.dropped):
            log.repair()

    def ids(self) -> Iterator[str]:
        """Ids of everything that an earlier, interrupted run has written."""
        yield from (self.identify(record) for record in self.kept)
        yield from (record.id for record in self.dropped)

    def unfinished(self, groups: Iterable[list[T]], done: Done) -> Iterator[list[T]]:
        """The groups with something left to do; the others are counted and passed over."""
        for group in groups:
            ids = {self.identify(item) for item in group}
            if ids <= done.among([*ids]):
                self._told(group)
            else:
                yield group

    def write(self, group: Sequence[Any], outcomes: Sequence[Any], done: Done) -> None:
        """Append the outcomes that are new."""
        if len(outcomes) != len(group):
            raise StoreError(f"stage {self.stage.stage!r} lost items: {len(group)} went in")
        ids = [self.identify(item) for item in group]
        known = done.among(ids)
        fresh = [o for id, o in zip(ids, outcomes, strict=True) if id not in known]
        # Dropped first: if a kill falls in between, the chunk is redone and nothing is double.
        self.dropped.append([o for o in fresh if isinstance(o, Dropped)])
        self.kept.append([o for o in fresh if not isinstance(o, Dropped)])
        self._told(group)

    def _told(self, group: Sequence[Any]) -> None:
        self.count += len(group)
        self.progress(self.stage.stage, self.count, self.total)
