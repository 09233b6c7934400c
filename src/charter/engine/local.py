"""The local engine: map a function over items in fixed chunks, resumably, in flat memory.

Owns the loop that every data stage shares. A chunk is the unit of work: its boundaries depend on
the items alone, so a resumed run recomputes exactly the chunk that was cut short, from the same
batches, and writes the same bytes that an uninterrupted run would have written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol, TypeVar

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
    kept, dropped = stage.log(record_type), stage.log(Dropped, DROPPED)
    for log in (kept, dropped):
        log.repair()
    done = {identify(record) for record in kept} | {record.id for record in dropped}
    count = 0
    for group in chunks(items, chunk):
        if not all(identify(item) in done for item in group):
            outcomes = work(group)
            if len(outcomes) != len(group):
                raise StoreError(f"stage {stage.stage!r} lost items: {len(group)} went in")
            fresh = [o for i, o in zip(group, outcomes, strict=True) if identify(i) not in done]
            # Dropped first: if a kill falls in between, the chunk is redone and nothing is double.
            dropped.append([o for o in fresh if isinstance(o, Dropped)])
            kept.append([o for o in fresh if not isinstance(o, Dropped)])
        count += len(group)
        progress(stage.stage, count, total)
    return stage.finish(time.monotonic() - started, notes())
