"""A streamed HTTP answer whose source is closed when the client goes, not when Python likes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class StreamedResponse(StreamingResponse):
    """Bytes of server-sent events.

    Args:
        first: sent first.
        rest: sent after it, and closed in any case.
        headers: more headers.
    """

    def __init__(
        self, first: bytes, rest: AsyncGenerator[bytes, None], headers: dict[str, str]
    ) -> None:
        self._rest = rest
        super().__init__(_chained(first, rest), headers=headers, media_type="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; see ASGI."""
        try:
            # A client that goes away is no error of the application, on any server.
            with contextlib.suppress(ClientDisconnect):
                await super().__call__(scope, receive, send)
        finally:
            await self._rest.aclose()


async def _chained(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    yield first
    async for out in rest:
        yield out
