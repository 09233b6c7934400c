"""A server on loopback that speaks the OpenAI and Anthropic protocols and fails as it is told.

It answers "echo: " and the last message, unless a fault is planned. Faults come first, in order,
one for each request that arrives; then everything works. Every request is kept for inspection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

TOP = [("A", -0.2), ("B", -1.9), ("The", -4.0)]


@dataclass(frozen=True)
class Fault:
    """What happens to one request instead of an answer, or on its way."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    """Sent as it is, with `status`."""
    drop: bool = False
    """Close the connection after half of the body."""
    delay_s: float = 0.0
    finish: str = "stop"
    text: str | None = None


def refused(status: int, said: str = "no", **headers: str) -> Fault:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(status, names, json.dumps({"error": {"message": said}}))


MALFORMED = Fault(body='{"choices": [{"message": {"con')
HTML = Fault(body="<html>maintenance</html>")
NO_CHOICES = Fault(body='{"choices": [], "usage": {"prompt_tokens": 1}}')
DROPPED = Fault(drop=True)


class FaultyServer:
    """Settings may be changed while it runs."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.always: Fault | None = None
        """Happens to every request when no planned fault is left."""
        self.block: int | None = None
        """Characters of a block of the prefix cache; None: no cache, and nothing told of one."""
        self._blocks: set[str] = set()
        self.top: list[list[tuple[str, float]]] | None = [TOP]
        """Listed tokens, for each position of an answer; None: the server knows no log-probs."""
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.arrivals: list[float] = []
        self.busy = self.busiest = 0
        self.work_s = 0.0
        routes = [
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/completions", self._text, methods=["POST"]),
            Route("/v1/messages", self._messages, methods=["POST"]),
        ]
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            Starlette(routes=routes), log_level="critical", lifespan="off", ws="none"
        )
        self._server = uvicorn.Server(config)
        run = self._server.run
        self._thread = threading.Thread(target=run, args=([self._socket],), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def asked(self) -> list[str]:
        """The last message of every request that arrived."""
        return [body["messages"][-1]["content"] for body in self.bodies]

    def start(self) -> None:
        self._thread.start()
        until = time.monotonic() + 20
        while not self._server.started:
            assert time.monotonic() < until, "the test's server did not start"
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()
        self._socket.close()

    async def _chat(self, request: Request) -> Response:
        async with self._working(request) as (body, fault):
            text = fault.text if fault.text is not None else f"echo: {_last(body)}"
            choice = {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": fault.finish,
                "logprobs": self._listed() if body.get("logprobs") else None,
            }
            usage = _usage(body, text) | self._found(body)
            return _sent(fault, {"choices": [choice], "usage": usage})

    async def _text(self, request: Request) -> Response:
        async with self._working(request) as (body, fault):
            top = self.top or []
            logprobs = {
                "tokens": [listed[0][0] for listed in top],
                "top_logprobs": [dict(listed) for listed in top],
            }
            choice = {"text": "A", "finish_reason": "length", "logprobs": logprobs if top else None}
            return _sent(fault, {"choices": [choice], "usage": _usage(body, "A")})

    async def _messages(self, request: Request) -> Response:
        async with self._working(request) as (body, fault):
            text = fault.text if fault.text is not None else f"echo: {_last(body)}"
            counted = _usage(body, text)
            answer = {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": body["model"],
                "content": [{"type": "text", "text": text}],
                "stop_reason": "end_turn" if fault.finish == "stop" else fault.finish,
                "usage": {
                    "input_tokens": counted["prompt_tokens"],
                    "output_tokens": counted["completion_tokens"],
                },
            }
            return _sent(fault, answer)

    def _found(self, body: dict[str, Any]) -> dict[str, Any]:
        """Automatic prefix caching as vLLM does it and tells it, a token a character.

        Whole blocks are kept by all that stands before their end; a miss is not told at all.
        """
        if self.block is None:
            return {}
        prompt = "".join(f"<{m['role']}>{m['content']}" for m in body["messages"])
        starts = [prompt[:end] for end in range(self.block, len(prompt) + 1, self.block)]
        hit = next((i for i, s in enumerate(starts) if s not in self._blocks), len(starts))
        self._blocks.update(starts)
        details = {"cached_tokens": hit * self.block} if hit else None
        return {"prompt_tokens": len(prompt), "prompt_tokens_details": details}

    def _listed(self) -> dict[str, Any] | None:
        if self.top is None:
            return None
        return {
            "content": [
                {
                    "token": listed[0][0],
                    "logprob": listed[0][1],
                    "top_logprobs": [{"token": t, "logprob": p} for t, p in listed],
                }
                for listed in self.top
            ]
        }

    @contextlib.asynccontextmanager
    async def _working(self, request: Request) -> AsyncIterator[tuple[dict[str, Any], Fault]]:
        body = await request.json()
        self.bodies.append(body)
        self.arrivals.append(time.monotonic())
        secret = request.headers.get("x-api-key") or request.headers.get("authorization", "")
        self.keys.append(secret.removeprefix("Bearer "))
        fault = self.faults.pop(0) if self.faults else self.always or Fault()
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            await asyncio.sleep(fault.delay_s or self.work_s)
            yield body, fault
        finally:
            self.busy -= 1


def _last(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"])


def _usage(body: dict[str, Any], text: str) -> dict[str, int]:
    """Ten tokens read; as many written as there are words."""
    return {"prompt_tokens": 10, "completion_tokens": len(text.split())}


def _sent(fault: Fault, answer: dict[str, Any]) -> Response:
    if fault.drop:
        return StreamingResponse(_half(json.dumps(answer)), headers={"content-length": "9999"})
    if fault.body is not None:
        return Response(fault.body, fault.status, fault.headers, "application/json")
    return JSONResponse(answer, fault.status, fault.headers)


async def _half(text: str) -> AsyncIterator[bytes]:
    yield text[: len(text) // 2].encode()


@contextlib.contextmanager
def serving() -> Iterator[FaultyServer]:
    """A running server."""
    server = FaultyServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
