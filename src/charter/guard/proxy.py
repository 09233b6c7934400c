"""The guard's server: an ASGI application between clients and an endpoint.

Owns: routes, the key check, sizes, the queue, and what an HTTP answer looks like. What happens to
an exchange is `exchange`'s business. Knows no model, and never imports training.

    POST /v1/chat/completions    OpenAI's format        GET /healthz     is the server fit to serve
    POST /v1/messages            Anthropic's format     GET /metrics     Prometheus
    GET  /v1/models              as upstream lists them GET /openapi.json
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from charter.guard.admission import Admission
from charter.guard.anthropic_dialect import AnthropicDialect
from charter.guard.audit import AuditLog
from charter.guard.call import Call, Parts
from charter.guard.config import GuardSettings
from charter.guard.decision import Classifier
from charter.guard.dialect import Dialect, decode, encode
from charter.guard.exchange import Exchange
from charter.guard.faults import Fault
from charter.guard.metrics import CONTENT_TYPE, Metrics
from charter.guard.openai_dialect import OpenAIDialect
from charter.guard.openapi import DOCUMENT
from charter.guard.reading import ReplyReader, in_time
from charter.guard.scoring import Scorer
from charter.guard.streamed_response import StreamedResponse
from charter.guard.trace import Trace
from charter.guard.upstream import Headers, Upstream, returned

OPENAI, ANTHROPIC = OpenAIDialect(), AnthropicDialect()
_KEY_HEADERS = ("x-charter-key", "authorization", "x-api-key")
_UNRECORDED = frozenset({"unauthorised", "too_large"})
"""Turned away before they were read: counted, but strangers must not fill the audit log."""
_JSON = "application/json"
Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


class Proxy:
    """The server's state and its endpoints.

    Args:
        classifier: scores prompts and answers.
        settings: how the guard behaves.
        upstream: where answers come from.
        audit: where each exchange is written down.
        key: what clients must show; "" lets everyone in.
    """

    def __init__(
        self,
        classifier: Classifier,
        settings: GuardSettings,
        upstream: Upstream,
        audit: AuditLog,
        key: str = "",
    ) -> None:
        self.metrics = Metrics()
        self.admission = Admission(settings.limits, self.metrics.busy)
        scorer = Scorer(classifier, settings.limits.score_seconds, self.metrics)
        self.parts = Parts(classifier, settings, upstream, audit, self.metrics, scorer)
        self._key = key.encode()

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route("/v1/chat/completions", self._chat(OPENAI), methods=["POST"]),
            Route("/v1/messages", self._chat(ANTHROPIC), methods=["POST"]),
            Route("/v1/models", self._models, methods=["GET"]),
            Route("/healthz", self._health, methods=["GET"]),
            Route("/metrics", self._metrics, methods=["GET"]),
            Route("/openapi.json", self._openapi, methods=["GET"]),
        ]
        handlers: dict[Any, Any] = {HTTPException: _http_error}
        return Starlette(routes=routes, lifespan=self._lifespan, exception_handlers=handlers)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        yield
        await self.parts.upstream.close()
        self.parts.scorer.close()
        self.parts.audit.close()

    def _chat(self, dialect: Dialect) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            identity = secrets.token_hex(8)
            try:
                headers = self._authenticated(request)
                call = await self._read(dialect, identity, request, headers)
                return await self._admitted(call)
            except Fault as fault:
                if fault.kind in _UNRECORDED:
                    self.metrics.faults.labels(fault.kind).inc()
                return _failure(dialect, fault, {"x-charter-request": identity})
            except ClientDisconnect:
                return Response(status_code=499)

        return endpoint

    def _authenticated(self, request: Request) -> Headers:
        """The headers that may go on to upstream: without the guard's own key.

        Raises:
            Fault: the key is missing or wrong.
        """
        headers = request.headers.items()
        if not self._key:
            return headers
        shown = {name for name, value in headers if name in _KEY_HEADERS and self._fits(value)}
        if not shown:
            raise Fault("unauthorised", "the key of this guard is missing or wrong")
        return [(name, value) for name, value in headers if name not in shown]

    def _fits(self, value: str) -> bool:
        shown = value.removeprefix("Bearer ").strip().encode("latin-1", "replace")
        return hmac.compare_digest(shown, self._key)

    async def _read(
        self, dialect: Dialect, identity: str, request: Request, headers: Headers
    ) -> Call:
        body = await self._body(request)
        try:
            data = msgspec.json.decode(body)
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            self._turned_away(dialect, identity, {}, "invalid_request")
            raise Fault("invalid_request", "the request's body is no JSON object")
        return Call(dialect, identity, body, data, headers)

    async def _body(self, request: Request) -> bytes:
        limit, body = self.parts.settings.limits.request_bytes, bytearray()
        stated = request.headers.get("content-length", "")
        if stated.isdigit() and int(stated) > limit:
            raise _too_large(limit)
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise _too_large(limit)
        return bytes(body)

    async def _admitted(self, call: Call) -> Response:
        try:
            if not (self.parts.audit.healthy or self.parts.settings.open_on_error):
                raise Fault("guard_failed", "the guard cannot write its audit log")
            await self.admission.enter()
        except Fault as fault:
            self._turned_away(call.dialect, call.request, call.data, fault.kind)
            raise
        return await self._answer(call)

    async def _answer(self, call: Call) -> Response:
        exchange = Exchange(self.parts, call)
        answer = self._placed(exchange)
        try:
            first = await anext(answer)
        except StopAsyncIteration:
            first = b""
        except Fault as fault:
            fault.headers.update(exchange.headers)
            raise
        if not call.streamed:
            rest = [out async for out in answer]  # none, but it ends by itself, not by being closed
            assert not rest
            return Response(first, headers=exchange.headers, media_type=_JSON)
        headers = {**exchange.headers, "cache-control": "no-cache", "x-accel-buffering": "no"}
        return StreamedResponse(first, answer, headers)

    async def _placed(self, exchange: Exchange) -> AsyncGenerator[bytes, None]:
        """The answer's bytes; its place is given back when it ends, however it ends."""
        try:
            async with aclosing(exchange.run()) as answer:
                async for out in answer:
                    yield out
        finally:
            self.admission.leave()

    def _turned_away(self, dialect: Dialect, identity: str, data: Any, reason: Any) -> None:
        trace = Trace(identity, dialect.name, data, self.parts.settings)
        trace.failed(Fault(reason, ""))
        record = trace.record(self.parts.classifier.identity)
        self.parts.audit.append(record)
        self.metrics.count(record, written=self.parts.audit.healthy)

    async def _models(self, request: Request) -> Response:
        """Names of models, as upstream lists them; no model writes into this list."""
        limits = self.parts.settings.limits
        try:
            headers = self._authenticated(request)
            deadline = asyncio.get_running_loop().time() + limits.idle_seconds
            reply = await in_time(self.parts.upstream.models(headers), deadline)
            try:
                body = await ReplyReader(reply, limits, deadline).whole(limits.frame_bytes)
            finally:
                await reply.close()
            if reply.status != 200:
                said = f"upstream answered with status {reply.status}"
                raise Fault("upstream_error", said, headers=returned(reply.headers))
            decode(body)
            return Response(body, media_type=_JSON)
        except Fault as fault:
            self.metrics.faults.labels(fault.kind).inc()
            return _failure(OPENAI, fault, {})

    async def _health(self, request: Request) -> Response:
        settings, healthy = self.parts.settings, self.parts.audit.healthy
        state = {
            "status": "ok" if healthy else "degraded",
            "mode": settings.mode,
            "on_error": settings.on_error,
            "classifier": self.parts.classifier.identity,
            "active": self.admission.active,
        }
        return Response(encode(state), status_code=200 if healthy else 503, media_type=_JSON)

    async def _metrics(self, request: Request) -> Response:
        return Response(self.metrics.page(), headers={"content-type": CONTENT_TYPE})

    async def _openapi(self, request: Request) -> Response:
        return Response(encode(DOCUMENT), media_type=_JSON)


def _too_large(limit: int) -> Fault:
    return Fault("too_large", f"the request is larger than {limit} bytes")


def _failure(dialect: Dialect, fault: Fault, headers: dict[str, str]) -> Response:
    return Response(
        dialect.error(fault),
        status_code=fault.status,
        headers={**headers, **fault.headers},
        media_type=_JSON,
    )


async def _http_error(request: Request, error: Exception) -> Response:
    """Paths and methods that are not served, told in the format of the errors."""
    assert isinstance(error, HTTPException)
    fault = Fault("not_found", "the guard does not serve this", status=error.status_code)
    return _failure(OPENAI, fault, dict(error.headers or {}))
