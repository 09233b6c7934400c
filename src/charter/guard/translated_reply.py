"""A chat completion, streamed or whole, told as a message of Anthropic's format.

Owns: the mapping of events and of stop reasons. Text and arguments go over unchanged. Reasoning is
left out: Anthropic's format has it signed, and nobody could sign it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from charter.guard.dialect import decode, encode
from charter.guard.faults import Fault
from charter.guard.openai_dialect import DONE
from charter.guard.sse import FrameCutter, frame
from charter.guard.upstream import Reply

_STOPS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_FRAME_BYTES = 8 << 20
"""The exchange has limits of its own; this one only keeps an endless line from piling up."""


class TranslatedReply:
    """A reply in Anthropic's format made from one in OpenAI's; see `upstream.Reply`."""

    def __init__(self, inner: Reply) -> None:
        self.inner, self.status, self.headers = inner, inner.status, inner.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, translated as it arrives."""
        if "event-stream" in self.headers.get("content-type", "event-stream"):
            peeked = _Peeked()
        else:
            peeked = _Peeked(whole=True)
        async for chunk in self.inner.chunks():
            out = peeked.push(chunk)
            if out:
                yield out
        yield peeked.finish()

    async def close(self) -> None:
        """Close the reply beneath."""
        await self.inner.close()


class EventTranslator:
    """Payloads of chat completion chunks to Anthropic events, for the first choice."""

    def __init__(self) -> None:
        self._started = self._stopped = False
        self._block: tuple[str, int] | None = None
        self._index = -1
        self._reason = ""
        self._tokens = 0

    def translate(self, payload: bytes) -> Iterator[dict[str, Any]]:
        """The events that one payload stands for."""
        if payload.strip() == DONE:
            yield from self.finish()
            return
        data = decode(payload)
        if data.get("error"):
            yield {"type": "error", "error": {"type": "api_error", "message": ""}}
            return
        if not self._started:
            self._started = True
            yield {"type": "message_start", "message": _message(data)}
        usage = data.get("usage")
        if isinstance(usage, dict):
            self._tokens = _count(usage, "completion_tokens")
        for choice in _list(data.get("choices")):
            if choice.get("index") == 0:
                yield from self._choice(choice)

    def finish(self) -> Iterator[dict[str, Any]]:
        """The closing events, if the answer has ended by its own account."""
        if self._reason and not self._stopped:
            self._stopped = True
            delta = {"stop_reason": self._reason, "stop_sequence": None}
            usage = {"output_tokens": self._tokens}
            yield {"type": "message_delta", "delta": delta, "usage": usage}
            yield {"type": "message_stop"}

    def _choice(self, choice: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        delta = choice.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        for text in (delta.get("content"), delta.get("refusal")):
            if isinstance(text, str) and text:
                yield from self._switch(("text", 0), {"type": "text", "text": ""})
                yield self._delta({"type": "text_delta", "text": text})
        for call in _list(delta.get("tool_calls")):
            yield from self._call(call)
        if choice.get("finish_reason") is not None:
            self._reason = _STOPS.get(str(choice["finish_reason"]), "end_turn")
            yield from self._close()

    def _call(self, call: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        opening = {"type": "tool_use", "id": call.get("id"), "name": function.get("name")}
        place = call.get("index", 0)
        yield from self._switch(("tool", place), {**opening, "input": {}})
        if function.get("arguments"):
            yield self._delta({"type": "input_json_delta", "partial_json": function["arguments"]})

    def _switch(self, block: tuple[str, int], opening: Any) -> Iterator[dict[str, Any]]:
        if self._block != block:
            yield from self._close()
            self._block, self._index = block, self._index + 1
            yield {"type": "content_block_start", "index": self._index, "content_block": opening}

    def _close(self) -> Iterator[dict[str, Any]]:
        if self._block is not None:
            self._block = None
            yield {"type": "content_block_stop", "index": self._index}

    def _delta(self, delta: Any) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}


class _Peeked:
    """Streamed or whole, by what upstream says or, where it says nothing, by how it begins."""

    def __init__(self, *, whole: bool = False) -> None:
        self.whole, self._decided = whole, whole
        self._cutter, self._events = FrameCutter(_FRAME_BYTES), EventTranslator()
        self._body = bytearray()

    def push(self, chunk: bytes) -> bytes:
        if not self._decided and chunk.strip():
            self._decided, self.whole = True, chunk.lstrip().startswith(b"{")
        if self.whole:
            self._body += chunk
            if len(self._body) > 4 * _FRAME_BYTES:
                raise Fault("upstream_malformed", "upstream sent an answer that is too long")
            return b""
        return b"".join(self._framed(p) for p in self._cutter.push(chunk))

    def finish(self) -> bytes:
        if self.whole:
            return encode(as_message(decode(bytes(self._body))))
        rest = b"".join(self._framed(payload) for payload in self._cutter.finish())
        return rest + b"".join(map(_frame, self._events.finish()))

    def _framed(self, payload: bytes) -> bytes:
        return b"".join(map(_frame, self._events.translate(payload)))


def as_message(data: Mapping[str, Any]) -> dict[str, Any]:
    """A whole chat completion as a message."""
    choices = _list(data.get("choices"))
    if not choices:
        raise Fault("upstream_malformed", "upstream sent an answer without choices")
    said = choices[0].get("message")
    said = said if isinstance(said, dict) else {}
    texts = [t for t in (said.get("content"), said.get("refusal")) if isinstance(t, str) and t]
    blocks: list[dict[str, Any]] = [{"type": "text", "text": text} for text in texts]
    blocks += [_tool_use(call) for call in _list(said.get("tool_calls"))]
    usage = data.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    counts = {
        "input_tokens": _count(usage, "prompt_tokens"),
        "output_tokens": _count(usage, "completion_tokens"),
    }
    reason = _STOPS.get(str(choices[0].get("finish_reason")), "end_turn")
    return {**_message(data), "content": blocks, "stop_reason": reason, "usage": counts}


def _count(usage: Mapping[str, Any], name: str) -> int:
    """A number of tokens; 0 where upstream gives none, or something else."""
    value = usage.get(name)
    return value if isinstance(value, int) else 0


def _tool_use(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    arguments = function.get("arguments")
    given = decode(arguments.encode()) if isinstance(arguments, str) and arguments else {}
    return {
        "type": "tool_use",
        "id": call.get("id"),
        "name": function.get("name"),
        "input": given,
    }


def _message(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": f"msg_{data.get('id') or ''}",
        "type": "message",
        "role": "assistant",
        "model": data.get("model") or "",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }


def _list(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _frame(event: dict[str, Any]) -> bytes:
    return frame(encode(event), str(event["type"]))
