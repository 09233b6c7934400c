"""Remote calls that were asked for together, and end together. Lives on one event loop."""

from __future__ import annotations

import asyncio
import contextlib

from charter.errors import ModelError


class EndedError(Exception):
    """The batch is over: no further attempt is to be made."""


class Batch:
    """Calls that were asked for together, and end together."""

    def __init__(self) -> None:
        self._over = asyncio.Event()
        self.error: ModelError | None = None

    def end(self, error: ModelError | None = None) -> None:
        """Make no new attempt; the first error is the one that is told."""
        self.error = self.error or error
        self._over.set()

    def go_on(self) -> None:
        """Raise `EndedError` once the batch has ended."""
        if self._over.is_set():
            raise EndedError

    async def sleep(self, seconds: float) -> None:
        """Sleep, or wake up early because the batch has ended."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)
        self.go_on()
