"""How many exchanges are worked on at once, and how many may wait for their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from charter.guard.config import Limits
from charter.guard.faults import Fault


class Admission:
    """A bounded number of places, and a bounded queue before them.

    Args:
        limits: `active`, `waiting` and `wait_seconds`.
        changed: told how many are active and how many wait, whenever that changes.
    """

    def __init__(self, limits: Limits, changed: Callable[[int, int], None]) -> None:
        self.limits, self._changed = limits, changed
        self.active = self.waiting = 0
        self._places = asyncio.Semaphore(limits.active)

    async def enter(self) -> None:
        """Take a place, waiting for one if need be. Each call that returns needs one `leave`.

        Raises:
            Fault: the queue is full, or the wait was too long.
        """
        if self._places.locked() and self.waiting >= self.limits.waiting:
            raise _full()
        self._move(waiting=1)
        try:
            await asyncio.wait_for(self._places.acquire(), self.limits.wait_seconds)
        except TimeoutError:
            raise _full() from None
        finally:
            self._move(waiting=-1)
        self._move(active=1)

    def leave(self) -> None:
        """Give the place back."""
        self._move(active=-1)
        self._places.release()

    def _move(self, active: int = 0, waiting: int = 0) -> None:
        self.active, self.waiting = self.active + active, self.waiting + waiting
        self._changed(self.active, self.waiting)


def _full() -> Fault:
    message = "the guard is working on as much as it can; try again shortly"
    return Fault("queue_full", message, headers={"retry-after": "1"})
