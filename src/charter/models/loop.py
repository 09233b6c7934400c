"""An event loop in a thread of its own, so that calls that wait for a network look like functions.

Owns starting and ending it. Works also where the caller has an event loop running.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines until it is closed. A daemon: it never keeps a process from ending."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine; its result arrives in the future."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self, closing: Sequence[Callable[[], Awaitable[None]]] = ()) -> None:
        """Cancel what still runs, await `closing` one after another, and end. Harmless twice."""
        if self._loop.is_closed():
            return
        self.submit(_wind_up(closing)).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _wind_up(closing: Sequence[Callable[[], Awaitable[None]]]) -> None:
    running = asyncio.all_tasks() - {asyncio.current_task()}
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for close in closing:
        await close()
    loop = asyncio.get_running_loop()
    await loop.shutdown_asyncgens()
    await loop.shutdown_default_executor()
