"""Where answers come from: any endpoint that speaks one of the two dialects.

Owns: the HTTP client, its timeouts, which headers go on. Knows nothing of checking. Credentials
pass through and are never written anywhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import httpx

from charter.errors import InputError
from charter.guard.config import Limits
from charter.guard.faults import Fault

Headers = Sequence[tuple[str, str]]

_NOT_SENT = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer"}
    | {"upgrade", "proxy-authorization", "proxy-authenticate", "accept-encoding", "expect"}
    | {"content-type", "content-encoding", "cookie", "accept", "proxy-connection"}
)
_RETURNED = ("retry-after", "request-id", "x-request-id")
_RETURNED_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-", "openai-")


class Reply(Protocol):
    """An answer that is arriving."""

    status: int
    headers: Mapping[str, str]

    def chunks(self) -> AsyncIterator[bytes]:
        """Its body, as it arrives. Raises `Fault`."""

    async def close(self) -> None:
        """Give the connection up, whatever is still to come."""


class Upstream(Protocol):
    """Answers requests."""

    async def ask(self, dialect: str, path: str, body: bytes, headers: Headers) -> Reply:
        """Send a request body; the reply's head has arrived when this returns. Raises `Fault`."""

    async def models(self, headers: Headers) -> Reply:
        """The list of models."""

    async def close(self) -> None:
        """Give everything up."""


class HttpReply:
    """A reply over HTTP; see `Reply`."""

    def __init__(self, response: httpx.Response) -> None:
        self.response, self.status = response, response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives."""
        with _attributed():
            async for chunk in self.response.aiter_bytes():
                yield chunk

    async def close(self) -> None:
        """Close the response."""
        await self.response.aclose()


class HttpUpstream:
    """An endpoint at a URL that ends in `/v1`.

    Args:
        url: the base URL.
        limits: timeouts.
        key: sent where the client sent no credentials of its own for upstream.

    Raises:
        InputError: the URL cannot be used.
    """

    def __init__(self, url: str, limits: Limits, key: str = "") -> None:
        self.url, self.key = _checked_url(url), key
        idle = limits.idle_seconds
        self.client = httpx.AsyncClient(
            timeout=httpx.Timeout(idle, connect=limits.connect_seconds),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            # Neither proxies nor credentials from the environment: upstream is what was named.
            trust_env=False,
        )

    async def ask(self, dialect: str, path: str, body: bytes, headers: Headers) -> HttpReply:
        """POST a body to a path below `/v1`."""
        sent = [*self._passed(headers, dialect), ("content-type", "application/json")]
        return await self._send("POST", path, sent, body)

    async def models(self, headers: Headers) -> HttpReply:
        """GET `/models`."""
        return await self._send("GET", "/models", self._passed(headers, "openai"), None)

    async def close(self) -> None:
        """Close all connections."""
        await self.client.aclose()

    async def _send(
        self, method: str, path: str, headers: Headers, body: bytes | None
    ) -> HttpReply:
        with _attributed():
            request = self.client.build_request(
                method, self.url + path, headers=list(headers), content=body
            )
            return HttpReply(await self.client.send(request, stream=True))

    def _passed(self, headers: Headers, dialect: str) -> list[tuple[str, str]]:
        """The client's headers that concern upstream. Plain text only, as events are cut by us."""
        sent = [
            (name, value)
            for name, value in headers
            if name not in _NOT_SENT and not name.startswith("x-charter-")
        ]
        sent += [("accept", "*/*"), ("accept-encoding", "identity")]
        names = {name for name, _ in sent}
        if self.key and not names & {"authorization", "x-api-key"}:
            anthropic = dialect == "anthropic"
            own = ("x-api-key", self.key) if anthropic else ("authorization", f"Bearer {self.key}")
            sent.append(own)
        return sent


def returned(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of upstream's reply that clients act on."""
    return {
        name.lower(): value
        for name, value in headers.items()
        if name.lower() in _RETURNED or name.lower().startswith(_RETURNED_PREFIXES)
    }


@contextmanager
def _attributed() -> Iterator[None]:
    """The HTTP library's exceptions as faults, in our own words."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise Fault("upstream_timeout", "upstream did not answer in time") from error
    except (httpx.ConnectError, httpx.UnsupportedProtocol) as error:
        raise Fault("upstream_unreachable", "upstream cannot be reached") from error
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
        raise Fault("upstream_closed", "upstream broke the connection off") from error


def _checked_url(url: str) -> str:
    expected = "an address such as http://127.0.0.1:8000/v1"
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InputError(f"{url!r} is no URL", field="--upstream", expected=expected) from error
    bare = url.rstrip("/")
    if parsed.scheme not in ("http", "https") or not parsed.host or not bare.endswith("/v1"):
        raise InputError(f"{url!r} cannot be used", field="--upstream", expected=expected)
    return bare
