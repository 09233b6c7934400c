"""How chunks get from the driver to Ray Data: one at a time, while there is room for them.

Ray Data reads data sets that are there; a stage's input is a stream that is still being read. So
the driver puts chunks into an actor, and a read task takes them from it. The read task asks by
position and not for "the next one": when Ray runs it again, it sees what it saw before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow
import ray
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

NOTHING = -1
"""Number of a chunk that has been given back already; it is not worked on again."""
SCHEMA = pyarrow.schema([("number", pyarrow.int64()), ("body", pyarrow.large_binary())])
Chunk = tuple[int, bytes]


def table(rows: Sequence[Chunk]) -> pyarrow.Table:
    """Numbered bodies as a block."""
    return pyarrow.table(
        [[number for number, _ in rows], [body for _, body in rows]], schema=SCHEMA
    )


class Feed:
    """Chunks that wait for a worker, or are at one. Runs as an asynchronous Ray actor."""

    def __init__(self) -> None:
        self._chunks: dict[int, Chunk] = {}
        self._positions: dict[int, int] = {}
        self._count, self._ended = 0, False
        self._news = asyncio.Condition()

    async def advance(self, fresh: Iterable[Chunk], back: int, ended: bool) -> None:
        """Add chunks, forget the one that came back, and say whether these were the last."""
        async with self._news:
            for chunk in fresh:
                self._chunks[self._count], self._positions[chunk[0]] = chunk, self._count
                self._count += 1
            self._chunks.pop(self._positions.pop(back, NOTHING), None)
            self._ended = ended
            self._news.notify_all()

    async def take(self, position: int) -> Chunk | None:
        """The chunk at a position, as soon as there is one; None after the last."""
        async with self._news:
            await self._news.wait_for(lambda: self._ended or position < self._count)
            if position >= self._count:
                return None
            return self._chunks.get(position, (NOTHING, b""))


class FeedSource(Datasource):  # type: ignore[misc]  # Ray is not followed by the type checker
    """What Ray Data reads: one block a chunk, from a `Feed`."""

    def __init__(self, feed: Any) -> None:
        super().__init__()
        self.feed = feed

    def estimate_inmemory_data_size(self) -> None:
        """Not known: the input is a stream."""

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[Any]:
        """One task that reads until the feed has ended."""
        feed = self.feed

        def read() -> Iterator[pyarrow.Table]:
            position = 0
            while (chunk := ray.get(feed.take.remote(position))) is not None:
                yield table([chunk])
                position += 1

        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [ReadTask(read, unknown)]
