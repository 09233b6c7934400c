"""Which of a model's servers gets the next call.

Owns load, pauses and fail-over among replicas of one model: the least loaded server that is not
paused is taken. A server that refuses (429) is left alone for as long as it asked, by all calls
and not only by the refused one, which is what ends a storm of refusals. One that fails is left
alone for a while that doubles until it answers again: health is learnt from the calls themselves,
no probes are sent. Calls that begin with the same text prefer the same server, whose prefix cache
then holds it, as long as that server is not much busier than the others. Lives on one
event loop. Knows nothing of requests.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from charter.models.endpoint import EndpointConfig
from charter.models.failures import AttemptError

C = TypeVar("C")
_BROKEN = frozenset({"server_error", "connection", "timeout"})
"""Failures that speak of the server and not of the call."""


class Server(Generic[C]):
    """One server: its client, how much it has to do, and until when it is left alone."""

    def __init__(self, client: C, concurrency: int) -> None:
        self.client, self.slots = client, asyncio.Semaphore(concurrency)
        self.load = self.turns = self.strikes = 0
        self.not_before = 0.0


class Router(Generic[C]):
    """Hands out servers.

    Args:
        clients: one for each URL.
        config: concurrency of each, and how long to stay away.
        jitter: seconds added to a pause, so that those who wait do not all come back at once.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        clients: Sequence[C],
        config: EndpointConfig,
        *,
        jitter: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.servers = [Server(client, config.concurrency) for client in clients]
        self.config, self.jitter, self.clock = config, jitter, clock
        self._slack = max(1, config.concurrency // 4)
        """Calls that a server may have more than the idlest one, and still be preferred."""

    @asynccontextmanager
    async def lease(
        self,
        sleep: Callable[[float], Awaitable[None]],
        tried: Sequence[Server[C]] = (),
        prefix: str = "",
    ) -> AsyncIterator[Server[C]]:
        """A server for one attempt, waiting for a slot and for pauses to end.

        Args:
            sleep: waits for so many seconds.
            tried: servers that have failed this call before; the others are preferred.
            prefix: names the text that this call and others begin with; "" if there is none.

        Raises:
            AttemptError: every server asked to be left alone for longer than `max_wait_s`.
        """
        while True:
            server = self._pick(tried, prefix)
            strikes = server.strikes
            server.load += 1
            server.turns += 1
            try:
                async with server.slots:
                    # If it failed while this call stood in line, another one may be better.
                    if server.strikes <= strikes and server.not_before <= self.clock():
                        yield server
                        return
            finally:
                server.load -= 1
            wait = self._pick().not_before - self.clock()
            if wait > self.config.max_wait_s:
                raise AttemptError("rate_limited", f"asked to wait {wait:.0f} s")
            if wait > 0:
                await sleep(wait + self.jitter())

    def worked(self, server: Server[C], pause: float = 0.0) -> None:
        """An attempt succeeded; `pause` seconds until the server's allowance is filled again."""
        server.strikes = 0
        self._leave_alone(server, min(pause, self.config.max_wait_s))

    def failed(self, server: Server[C], failure: AttemptError) -> None:
        """An attempt failed: stay away for as long as the failure says."""
        self._leave_alone(server, failure.retry_after)
        # Calls that were under way together fail together: that is one strike, not many.
        if failure.reason in _BROKEN and self.clock() >= server.not_before:
            away = self.config.backoff_s * 2.0 ** min(server.strikes, 30)
            server.strikes += 1
            self._leave_alone(server, min(away, self.config.max_wait_s))

    def _pick(self, tried: Sequence[Server[C]] = (), prefix: str = "") -> Server[C]:
        """The least paused, least tried one, not on trial (failed and asked again), most idle."""
        now, home = self.clock(), self._home(prefix)

        def rank(server: Server[C]) -> tuple[float, int, bool, int, int]:
            wait = max(0.0, server.not_before - now)
            on_trial = server.strikes > 0 and server.load > 0
            load = server.load - (self._slack if server is home else 0)
            return wait, tried.count(server), on_trial, load, server.turns

        return min(self.servers, key=rank)

    def _home(self, prefix: str) -> Server[C] | None:
        """The server of a prefix: the same one each time, and most stay if a server is added.

        Rendezvous hashing (Thaler and Ravishankar, IEEE/ACM ToN 6(1), 1998).
        """
        if not prefix or len(self.servers) == 1:
            return None
        places = range(len(self.servers))
        return self.servers[max(places, key=lambda i: zlib.crc32(f"{i} {prefix}".encode()))]

    def _leave_alone(self, server: Server[C], seconds: float) -> None:
        server.not_before = max(server.not_before, self.clock() + seconds)
