"""The Anthropic messages format: `/v1/messages`, streamed and whole.

A message is one choice of several content blocks; each block is a channel. Events pass as they
came, byte for byte; their SSE name is taken from the checked payload.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from charter.guard import conversation
from charter.guard.conversation import Conversation
from charter.guard.dialect import (
    Channel,
    Event,
    Piece,
    Refusal,
    decode,
    encode,
    texts,
)
from charter.guard.faults import Fault
from charter.guard.sse import frame

_TOP = frozenset(
    {"id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"}
    | {"message", "index", "content_block", "delta"}
)
_META = _TOP - {"content", "message", "content_block", "delta"}
"""What a server says of an answer; no text of a model stands there."""
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}
_TEXT_OF = {"text_delta": "text", "input_json_delta": "partial_json", "thinking_delta": "thinking"}


class AnthropicDialect:
    """See `dialect.Dialect`."""

    name = "anthropic"
    path = "/messages"

    def conversation(self, body: Mapping[str, Any]) -> Conversation:
        """What a request says; `system` stands before its messages."""
        return conversation.read(body, body.get("system"))

    def choices(self, body: Mapping[str, Any]) -> int:
        """Always one."""
        return 1

    def read(self, payload: bytes) -> Event:
        """One event of the stream; `error` raises, as the stream has failed."""
        data = decode(payload)
        data, came = _known(data), data
        kind = data.get("type")
        if kind == "error":
            raise Fault("upstream_error", "upstream reported an error in its answer")
        if not isinstance(kind, str) or not kind.replace("_", "").isalnum():
            raise Fault("upstream_malformed", "upstream sent an event without a type")
        pieces = tuple(_pieces_of_event(data))
        settled = (0,) if kind in ("content_block_stop", "message_delta", "message_stop") else ()
        last = kind == "message_stop"
        finished = (0,) if last else ()
        raw = payload if came is data else encode(data)
        return Event(raw, data, pieces, (0,), settled, finished, last)

    def read_whole(self, payload: bytes) -> Event:
        """A whole message."""
        data = decode(payload)
        if data.get("type") == "error":
            raise Fault("upstream_error", "upstream reported an error in its answer")
        data, came = _known(data), data
        blocks = data.get("content")
        if not isinstance(blocks, list):
            raise Fault("upstream_malformed", "upstream sent a message without content")
        pieces = [p for i, block in enumerate(blocks) for p in _pieces_of_block(i, block)]
        pieces += _extras(data, "content")
        raw = payload if came is data else encode(data)
        return Event(raw, data, tuple(pieces), (0,), (0,), (0,), last=True)

    def refuse_whole(self, event: Event, refusals: Mapping[int, Refusal]) -> bytes:
        """The message with the refusal as its only content."""
        about = {name: value for name, value in event.data.items() if name in _META}
        return encode({**about, **_ending(refusals[0])})

    def refused(self, body: Mapping[str, Any], refusal: Refusal) -> bytes:
        """A message that holds the refusal only."""
        return encode({**_message(body, refusal.request), **_ending(refusal)})

    def writer(self, body: Mapping[str, Any], request: str) -> AnthropicWriter:
        """A writer for one streamed message."""
        return AnthropicWriter(_message(body, request))

    def error(self, fault: Fault) -> bytes:
        """An error body as Anthropic's clients read it."""
        return encode(_error(fault))


class AnthropicWriter:
    """See `dialect.Writer`. Remembers which blocks the client has open.

    Args:
        message: what to open the answer with, if upstream has not.
    """

    def __init__(self, message: dict[str, Any]) -> None:
        self._message = message
        self._started = self._spoken = False
        self._open: list[int] = []
        self._next = 0

    def emit(self, event: Event, without: Collection[int]) -> bytes:
        """The event as it came; nothing after a refusal."""
        if 0 in without:
            return b""
        kind, index = event.data["type"], event.data.get("index", 0)
        self._started |= kind == "message_start"
        self._spoken |= bool(event.pieces)
        if kind == "content_block_start":
            self._open.append(index)
            self._next = max(self._next, index + 1)
        elif kind == "content_block_stop" and index in self._open:
            self._open.remove(index)
        return frame(event.payload, kind)

    def cut(self, event: Event, choice: int, keep: Mapping[Channel, int]) -> bytes:
        """The delta with what was checked of it; a block that opens with text does not open.

        Of a delta that is not of the format nothing is kept: it is not known where its texts end.
        """
        delta, room = event.data.get("delta"), sum(keep.values())
        if event.data["type"] != "content_block_delta" or not isinstance(delta, dict) or not room:
            return b""
        kind = str(delta.get("type"))
        name = _TEXT_OF.get(kind, "")
        text = delta.get(name)
        if delta.keys() != {"type", name} or not isinstance(text, str) or len(event.pieces) > 1:
            return b""
        self._spoken = True
        place = {"type": "content_block_delta", "index": event.data["index"]}
        short = {"type": kind, name: text[:room]}
        return frame(encode({**place, "delta": short}), "content_block_delta")

    def refuse(self, choice: int, refusal: Refusal) -> bytes:
        """Close what is open, then a block with the refusal, then `stop_reason: refusal`."""
        events: list[dict[str, Any]] = []
        if not self._started:
            events.append({"type": "message_start", "message": self._message})
        events += [{"type": "content_block_stop", "index": index} for index in self._open]
        text = f"\n\n{refusal.text}" if self._spoken else refusal.text
        block, at = {"type": "text", "text": ""}, {"index": self._next}
        delta = {"type": "text_delta", "text": text}
        events += [
            {"type": "content_block_start", **at, "content_block": block},
            {"type": "content_block_delta", **at, "delta": delta},
            {"type": "content_block_stop", **at},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "refusal", "stop_sequence": None},
                "usage": {"output_tokens": 0},
                "charter": refusal.notice(),
            },
        ]
        return b"".join(frame(encode(event), str(event["type"])) for event in events)

    def end(self) -> bytes:
        """`message_stop`."""
        return frame(b'{"type":"message_stop"}', "message_stop")

    def error(self, fault: Fault) -> bytes:
        """An error event."""
        return frame(encode(_error(fault)), "error")


def _pieces_of_event(data: dict[str, Any]) -> list[Piece]:
    kind, index = data["type"], data.get("index")
    if kind == "content_block_start" or kind == "content_block_delta":
        main = "content_block" if kind == "content_block_start" else "delta"
        body = data.get(main)
        if type(index) is not int or not isinstance(body, dict):
            raise Fault("upstream_malformed", "upstream sent an event without its block")
        return [*_pieces_of_block(index, body), *_extras(data, main)]
    return _extras(data)


def _extras(data: dict[str, Any], *main: str) -> list[Piece]:
    """Nothing a model writes belongs into other fields; what is there all the same is checked."""
    found = []
    for name, value in data.items():
        if name in _META or name in main:
            continue
        if isinstance(value, dict):
            value = {k: v for k, v in value.items() if k not in _META}
        found += [Piece(0, ("extra", name, *channel), text) for channel, text in texts(value)]
    return found


def _pieces_of_block(index: int, block: Any) -> list[Piece]:
    """The block's own text goes to one channel; what it cites goes to another."""
    if not isinstance(block, dict):
        raise Fault("upstream_malformed", "upstream sent a block that is not of the format")
    found = []
    for name, value in block.items():
        main = name in ("text", "thinking", "partial_json", "name", "input")
        # Streamed, a tool's input is JSON text; whole, it is scored as such as well.
        inner = encode(value).decode() if name == "input" and value else value
        channel: Channel = ("block", index) if main else (name, index)
        if name not in ("type", "id", "signature", "data", "stop_reason"):
            found += [Piece(0, channel, text) for _, text in texts(inner)]
    return found


def _known(data: dict[str, Any]) -> dict[str, Any]:
    """The same object, or a copy without fields that nobody checks and that could carry text."""
    odd = [k for k, v in data.items() if k not in _TOP and v and not isinstance(v, int | float)]
    return {k: v for k, v in data.items() if k not in odd} if odd else data


def _message(body: Mapping[str, Any], request: str) -> dict[str, Any]:
    model = body.get("model")
    return {
        "id": f"msg_{request}",
        "type": "message",
        "role": "assistant",
        "model": model if isinstance(model, str) else "",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }


def _ending(refusal: Refusal) -> dict[str, Any]:
    return {
        "content": [{"type": "text", "text": refusal.text}],
        "stop_reason": "refusal",
        "stop_sequence": None,
        "charter": refusal.notice(),
    }


def _error(fault: Fault) -> dict[str, Any]:
    kind = _TYPES.get(fault.status, "api_error" if fault.status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": fault.message}}
