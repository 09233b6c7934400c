"""A scripted endpoint on a raw socket, guards before it, and what the wire formats look like."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import uvicorn

from charter.guard.audit import AuditLog, AuditRecord
from charter.guard.config import GuardSettings
from charter.guard.decision import Classifier
from charter.guard.dialect import encode
from charter.guard.proxy import Proxy
from charter.guard.serving import config
from charter.guard.sse import frame
from charter.guard.translation import BothDialects
from charter.guard.upstream import HttpUpstream, Upstream
from charter.guard.words import WordsClassifier

WORD, CLAUSE = "BOMBWORD", "no-weapons"
HEAD = b"HTTP/1.1 %d X\r\ncontent-type: %s\r\ntransfer-encoding: chunked\r\n\r\n"
Script = list[bytes | float]


class Stub:
    """An endpoint that answers each request with a script: bytes to write, seconds to wait.

    The connection is closed where the script ends. `requests` holds (path, headers, body).
    """

    def __init__(self, script: Callable[[str, dict[str, Any]], Script]) -> None:
        self.script = script
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.broken_off = 0
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
            path = head[0].split()[1]
            headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            data = json.loads(body) if body else {}
            self.requests.append((path, headers, data))
            for step in self.script(path, data):
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    writer.write(step)
                    await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.broken_off += 1
        finally:
            writer.close()


@pytest.fixture
def stub() -> Iterator[Callable[..., Stub]]:
    """Starts scripted endpoints."""
    with ExitStack() as stack:

        def start(script: Callable[[str, dict[str, Any]], Script]) -> Stub:
            made = Stub(script)
            made.start()
            stack.callback(made.stop)
            return made

        yield start


class Guarded:
    """A guard that is being served, and its audit log."""

    def __init__(self, proxy: Proxy, server: uvicorn.Server, folder: Path) -> None:
        self.proxy, self.server, self.folder = proxy, server, folder
        self.port = server.servers[0].sockets[0].getsockname()[1]
        self.root = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.root}/v1"

    def records(self, count: int = 1) -> list[AuditRecord]:
        """The audit records, once there are `count`; the last byte may come before its record."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            lines = (self.folder / "audit.jsonl").read_bytes().splitlines()
            if len(lines) >= count:
                break
            time.sleep(0.01)
        assert len(lines) == count, f"{len(lines)} audit records, not {count}"
        return [msgspec.json.decode(line, type=AuditRecord) for line in lines]


@contextmanager
def served(app: Any) -> Iterator[uvicorn.Server]:
    server = uvicorn.Server(config(app, "127.0.0.1", 0, drain_seconds=10))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.005)
    assert server.started
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join(15)
        assert not thread.is_alive()


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Callable[..., Guarded]]:
    """Serves guards. `upstream` is a URL or an `Upstream`."""
    with ExitStack() as stack:

        def serve(
            upstream: str | Upstream,
            settings: GuardSettings | None = None,
            classifier: Classifier | None = None,
            key: str = "",
        ) -> Guarded:
            settings = settings or GuardSettings()
            if isinstance(upstream, str):
                upstream = BothDialects(HttpUpstream(upstream, settings.limits))
            folder = tmp_path / f"audit{len(list(tmp_path.iterdir()))}"
            judge = classifier or WordsClassifier({WORD: CLAUSE})
            proxy = Proxy(judge, settings, upstream, AuditLog(folder), key)
            return Guarded(proxy, stack.enter_context(served(proxy.app())), folder)

        yield serve


def openai_chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    form = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return frame(encode({**form, "choices": [choice]}))


def openai_stream(texts: Sequence[str], index: int = 0) -> list[bytes]:
    """Frames of a streamed completion, without `[DONE]`."""
    return [
        openai_chunk({"role": "assistant", "content": ""}, index=index),
        *(openai_chunk({"content": text}, index=index) for text in texts),
        openai_chunk({}, "stop", index=index),
    ]


def openai_whole(*texts: str) -> bytes:
    choices = [
        {
            "index": i,
            "message": {"role": "assistant", "content": text},
            "logprobs": None,
            "finish_reason": "stop",
        }
        for i, text in enumerate(texts)
    ]
    form = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m"}
    return encode({**form, "choices": choices})


def anthropic_event(kind: str, **fields: Any) -> bytes:
    return frame(encode({"type": kind, **fields}), kind)


def anthropic_message(text: str | None = None) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [] if text is None else [{"type": "text", "text": text}],
        "stop_reason": None if text is None else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 5},
    }


def anthropic_stream(texts: Sequence[str]) -> list[bytes]:
    """Frames of a streamed message."""
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    return [
        anthropic_event("message_start", message=anthropic_message()),
        anthropic_event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        *(
            anthropic_event("content_block_delta", index=0, delta={"type": "text_delta", "text": t})
            for t in texts
        ),
        anthropic_event("content_block_stop", index=0),
        anthropic_event("message_delta", delta=stop, usage={"output_tokens": 5}),
        anthropic_event("message_stop"),
    ]


def http(pieces: Sequence[bytes | float], status: int = 200, kind: str = "") -> Script:
    """A script that sends pieces in chunked transfer encoding, to the proper end."""
    kind = kind or "text/event-stream"
    chunks = [p if isinstance(p, float) else b"%x\r\n%s\r\n" % (len(p), p) for p in pieces if p]
    return [HEAD % (status, kind.encode()), *chunks, b"0\r\n\r\n"]


def http_json(body: bytes, status: int = 200) -> Script:
    return http([body], status, "application/json")


@pytest.fixture(scope="session")
def wire() -> SimpleNamespace:
    """What the wire formats look like, and the word that the scripted classifier blocks."""
    return SimpleNamespace(
        word=WORD,
        clause=CLAUSE,
        done=frame(b"[DONE]"),
        openai_chunk=openai_chunk,
        openai_stream=openai_stream,
        openai_whole=openai_whole,
        anthropic_event=anthropic_event,
        anthropic_message=anthropic_message,
        anthropic_stream=anthropic_stream,
        http=http,
        http_json=http_json,
    )
