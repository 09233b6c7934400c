"""Reading a reply within its limits of size and time. Knows nothing of checking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import TypeVar

from charter.guard.config import Limits
from charter.guard.dialect import Dialect, Event
from charter.guard.faults import Fault
from charter.guard.sse import FrameCutter
from charter.guard.upstream import Reply

T = TypeVar("T")


class ReplyReader:
    """One reply.

    Args:
        reply: its head has arrived.
        limits: sizes.
        deadline: the loop's time by which the whole of it must have arrived.
    """

    def __init__(self, reply: Reply, limits: Limits, deadline: float) -> None:
        self.reply, self.limits, self.deadline = reply, limits, deadline

    async def whole(self, limit: int | None = None) -> bytes:
        """The whole body. Raises `Fault`, also for one longer than `limit` bytes."""
        body = bytearray()
        async with aclosing(self._chunks(limit or self.limits.answer_bytes)) as chunks:
            async for chunk in chunks:
                body += chunk
        return bytes(body)

    async def events(self, dialect: Dialect) -> AsyncGenerator[list[Event], None]:
        """Events, as many at a time as have arrived; nothing after the answer's last one."""
        cutter = FrameCutter(self.limits.frame_bytes)
        async with aclosing(self._chunks(self.limits.answer_bytes)) as chunks:
            async for chunk in chunks:
                events = _read(dialect, cutter.push(chunk))
                if events:
                    yield events
                    if events[-1].last:
                        return
        events = _read(dialect, cutter.finish())
        if events:
            yield events

    async def _chunks(self, limit: int) -> AsyncGenerator[bytes, None]:
        chunks, size = aiter(self.reply.chunks()), 0
        while True:
            try:
                chunk = await in_time(anext(chunks), self.deadline)
            except StopAsyncIteration:
                return
            size += len(chunk)
            if size > limit:
                raise Fault("upstream_malformed", "upstream sent an answer that is too long")
            yield chunk


def _read(dialect: Dialect, payloads: list[bytes]) -> list[Event]:
    events = []
    for payload in payloads:
        events.append(dialect.read(payload))
        if events[-1].last:
            break
    return events


async def in_time(waiting: Awaitable[T], deadline: float) -> T:
    """What is waited for, by the deadline.

    Each wait is timed by itself, since the parts of one answer may be asked for by different tasks.

    Raises:
        Fault: it did not come in time.
    """
    try:
        async with asyncio.timeout_at(deadline):
            return await waiting
    except TimeoutError as error:
        raise Fault("upstream_timeout", "upstream did not answer in time") from error
