"""How many exchanges are worked on at once, and how many may wait for their turn."""

from __future__ import annotations

import asyncio

from charter.guard.config import Limits
from charter.guard.faults import Fault


class Admission:
    """A bounded number of places, and a bounded queue before them.

    Args:
        limits: `active`, `waiting` and `wait_seconds`.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.active = self.waiting = 0
        self._places = asyncio.Semaphore(limits.active)

    async def enter(self) -> None:
        """Take a place, waiting for one if need be. Each call that returns needs one `leave`.

        Raises:
            Fault: the queue is full, or the wait was too long.
        """
        if self._places.locked() and self.waiting >= self.limits.waiting:
            raise _full()
        self.waiting += 1
        try:
            await asyncio.wait_for(self._places.acquire(), self.limits.wait_seconds)
        except TimeoutError:
            raise _full() from None
        finally:
            self.waiting -= 1
        self.active += 1

    def leave(self) -> None:
        """Give the place back."""
        self.active -= 1
        self._places.release()


def _full() -> Fault:
    message = "the guard is working on as much as it can; try again shortly"
    return Fault("queue_full", message, headers={"retry-after": "1"})
