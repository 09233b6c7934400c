"""A model in this process as an upstream: whole answers, in the OpenAI format.

Owns: turning a request into `records.Request`, and an answer into events. Generation is one call
at a time on a thread of its own; the answer is streamed once it is there. Knows no network.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from charter.guard import conversation
from charter.guard.dialect import decode, encode
from charter.guard.faults import Fault
from charter.guard.openai_dialect import DONE, OpenAIDialect
from charter.guard.sse import frame
from charter.guard.upstream import Headers
from charter.records import Completion, Model, Request, Sampling, digest
from charter.seeds import derive

_MAX_TOKENS = 256


class LocalReply:
    """A reply that is there already; see `upstream.Reply`."""

    status = 200

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.headers: Mapping[str, str] = {}

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body."""
        yield self.body

    async def close(self) -> None:
        """Nothing to give up."""


class LocalUpstream:
    """Answers with a model held in this process.

    Args:
        model: gives text back.
        name: what the list of models calls it.
    """

    def __init__(self, model: Model, name: str) -> None:
        self.model, self.name = model, name
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")

    async def ask(self, dialect: str, path: str, body: bytes, headers: Headers) -> LocalReply:
        """Generate, then reply as a stream or whole."""
        if dialect != "openai":
            raise Fault("not_found", "the local model is asked in the OpenAI format")
        data = decode(body)
        requests = _requests(data)
        loop = asyncio.get_running_loop()
        done = await loop.run_in_executor(self._thread, self._generate, requests)
        form = {"id": f"chatcmpl-{digest(requests)}", "created": int(time.time())}
        form["model"] = self.name
        return LocalReply(_stream(form, done) if data.get("stream") else _whole(form, done))

    async def models(self, headers: Headers) -> LocalReply:
        """The one model there is."""
        entry = {"id": self.name, "object": "model", "created": 0, "owned_by": "charter"}
        return LocalReply(encode({"object": "list", "data": [entry]}))

    async def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _generate(self, requests: list[Request]) -> list[Completion]:
        try:
            return self.model.generate(requests)
        except Exception as error:  # whatever the model's library raises ends this exchange only
            raise Fault("upstream_error", "the model failed") from error


def _requests(data: Mapping[str, Any]) -> list[Request]:
    """One request a choice; without a seed, the conversation decides the randomness."""
    number = conversation.number
    limit = number(data, "max_completion_tokens", None, lambda n: n >= 1)
    limit = limit or number(data, "max_tokens", _MAX_TOKENS, lambda n: n >= 1)
    sampling = Sampling(
        max_tokens=int(limit),
        temperature=float(number(data, "temperature", 1.0, lambda t: 0 <= t <= 2)),
        top_p=float(number(data, "top_p", 1.0, lambda p: 0 < p <= 1)),
    )
    messages = conversation.read({"messages": data.get("messages")}).messages
    seed = number(data, "seed", 0, lambda s: s == int(s))
    count = OpenAIDialect().choices(data)
    name = digest(messages)
    return [Request(messages, sampling, derive("guard", name, seed, i)) for i in range(count)]


def _usage(done: list[Completion]) -> dict[str, int]:
    tokens = sum(c.tokens for c in done)
    return {"prompt_tokens": 0, "completion_tokens": tokens, "total_tokens": tokens}


def _whole(form: Mapping[str, Any], done: list[Completion]) -> bytes:
    choices = [
        {
            "index": i,
            "message": {"role": "assistant", "content": c.text},
            "logprobs": None,
            "finish_reason": c.finish,
        }
        for i, c in enumerate(done)
    ]
    usage = _usage(done)
    return encode({**form, "object": "chat.completion", "choices": choices, "usage": usage})


def _stream(form: Mapping[str, Any], done: list[Completion]) -> bytes:
    out = []
    for i, c in enumerate(done):
        for delta, finish in (({"role": "assistant", "content": c.text}, None), ({}, c.finish)):
            choice = {"index": i, "delta": delta, "finish_reason": finish}
            chunk = {**form, "object": "chat.completion.chunk", "choices": [choice]}
            out.append(frame(encode(chunk)))
    return b"".join([*out, frame(DONE)])
