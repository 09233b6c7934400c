"""The OpenAI chat format: `/v1/chat/completions`, streamed and whole.

Events pass as they came, byte for byte. Fields that are neither of the format nor without text are
left out, since nothing has checked them.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import replace
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
    trimmed,
)
from charter.guard.faults import Fault
from charter.guard.sse import frame

DONE = b"[DONE]"
_TOP = frozenset(
    {"id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier"}
)
_CHOICE = frozenset({"index", "finish_reason", "logprobs", "stop_reason"})
_FORM = ("id", "object", "created", "model", "system_fingerprint")
_TYPES = {401: "authentication_error", 429: "rate_limit_error"}


class OpenAIDialect:
    """See `dialect.Dialect`."""

    name = "openai"
    path = "/chat/completions"

    def conversation(self, body: Mapping[str, Any]) -> Conversation:
        """What a request says."""
        return conversation.read(body)

    def choices(self, body: Mapping[str, Any]) -> int:
        """`n`, 1 to 128."""
        return int(conversation.number(body, "n", 1, lambda n: n == int(n) and 1 <= n <= 128))

    def read(self, payload: bytes) -> Event:
        """One chunk; an error object raises, as the stream has failed."""
        if payload.strip() == DONE:
            return Event(DONE, {}, last=True)
        return _event(payload, "delta")

    def read_whole(self, payload: bytes) -> Event:
        """A whole completion."""
        event = _event(payload, "message")
        if not event.choices:
            raise Fault("upstream_malformed", "upstream sent an answer without choices")
        return replace(event, settled=event.choices, last=True)

    def refuse_whole(self, event: Event, refusals: Mapping[int, Refusal]) -> bytes:
        """The completion, blocked choices replaced; the rest stays as it came."""
        choices = [
            _refused_choice(c["index"], refusals[c["index"]]) if c["index"] in refusals else c
            for c in event.data["choices"]
        ]
        notice = next(iter(refusals.values())).notice()
        return encode({**event.data, "choices": choices, "charter": notice})

    def refused(self, body: Mapping[str, Any], refusal: Refusal) -> bytes:
        """A completion of refusals only."""
        form = _form(body, refusal.request, "chat.completion")
        choices = [_refused_choice(i, refusal) for i in range(self.choices(body))]
        usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        return encode({**form, "choices": choices, "usage": usage, "charter": refusal.notice()})

    def writer(self, body: Mapping[str, Any], request: str) -> OpenAIWriter:
        """A writer for one streamed completion."""
        return OpenAIWriter(_form(body, request, "chat.completion.chunk"))

    def error(self, fault: Fault) -> bytes:
        """An error body as OpenAI's clients read it."""
        return encode({"error": _error(fault)})


class OpenAIWriter:
    """See `dialect.Writer`.

    Args:
        form: `id`, `created` and so on for chunks of our own, until upstream has sent some.
    """

    def __init__(self, form: dict[str, Any]) -> None:
        self._form = form
        self._spoken: set[int] = set()

    def emit(self, event: Event, without: Collection[int]) -> bytes:
        """The chunk as it came, or without the choices that were ended."""
        if event.last:
            return frame(DONE)
        self._form = {name: event.data[name] for name in _FORM if name in event.data} or self._form
        self._spoken.update(piece.choice for piece in event.pieces)
        if not any(choice in without for choice in event.choices):
            return frame(event.payload)
        left = [c for c in event.data["choices"] if c["index"] not in without]
        return frame(encode({**event.data, "choices": left})) if left else b""

    def cut(self, event: Event, choice: int, keep: Mapping[Channel, int]) -> bytes:
        """A chunk with what was checked of the choice; no log-probabilities."""
        if not any(keep.values()):
            return b""
        self._spoken.add(choice)
        parts = [c for c in event.data["choices"] if c["index"] == choice]
        left = dict(keep)  # a choice that comes twice in one chunk is one text all the same
        deltas = [trimmed(c.get("delta"), left) for c in parts]
        return b"".join(self._chunk(choice, delta, None) for delta in deltas)

    def refuse(self, choice: int, refusal: Refusal) -> bytes:
        """The refusal as content, then `finish_reason: content_filter` with the notice."""
        text = f"\n\n{refusal.text}" if choice in self._spoken else refusal.text
        opening = self._chunk(choice, {"role": "assistant", "content": text}, None)
        ending = self._chunk(choice, {}, "content_filter", charter=refusal.notice())
        return opening + ending

    def end(self) -> bytes:
        """`[DONE]`."""
        return frame(DONE)

    def error(self, fault: Fault) -> bytes:
        """An error object; no `[DONE]` after it, as the answer is not done."""
        return frame(encode({"error": _error(fault)}))

    def _chunk(self, choice: int, delta: Any, finish: str | None, **more: Any) -> bytes:
        part = {"index": choice, "delta": delta, "finish_reason": finish}
        return frame(encode({**self._form, "choices": [part], **more}))


def _event(payload: bytes, part: str) -> Event:
    data = decode(payload)
    if data.get("error"):
        raise Fault("upstream_error", "upstream reported an error in its answer")
    known = _known(data, part)
    choices = known.get("choices") or []
    pieces, indices, finished = [], [], []
    for choice in choices:
        index = choice["index"]
        indices.append(index)
        # In the order in which the model wrote them, whatever the order of the fields.
        for channel, text in texts(choice.get(part), ()):
            pieces.append(Piece(index, channel, text))
        for channel, text in texts(choice.get("logprobs"), ("logprobs",)):
            pieces.append(Piece(index, channel, text))
        if choice.get("finish_reason") is not None:
            finished.append(index)
    done = tuple(finished)
    raw = payload if known is data else encode(known)
    return Event(raw, known, tuple(pieces), tuple(indices), settled=done, finished=done)


def _known(data: dict[str, Any], part: str) -> dict[str, Any]:
    """The same object, or a copy without fields that nobody checks and that could carry text."""
    choices = data.get("choices") or []
    if not isinstance(choices, list) or not all(map(_is_choice, choices)):
        raise Fault("upstream_malformed", "upstream sent choices that are not of the format")
    parts = [_without(choice, _CHOICE | {part}) for choice in choices]
    top = _without(data, _TOP)
    if all(new is old for new, old in zip(parts, choices, strict=True)):
        return top
    return {**top, "choices": parts}


def _is_choice(choice: Any) -> bool:
    return isinstance(choice, dict) and type(choice.get("index")) is int


def _without(value: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    odd = [k for k, v in value.items() if k not in known and v and not isinstance(v, int | float)]
    return {k: v for k, v in value.items() if k not in odd} if odd else value


def _form(body: Mapping[str, Any], request: str, kind: str) -> dict[str, Any]:
    model = body.get("model")
    return {
        "id": f"chatcmpl-{request}",
        "object": kind,
        "created": int(time.time()),
        "model": model if isinstance(model, str) else "",
    }


def _refused_choice(index: int, refusal: Refusal) -> dict[str, Any]:
    message = {"role": "assistant", "content": refusal.text, "refusal": None}
    return {
        "index": index,
        "message": message,
        "logprobs": None,
        "finish_reason": "content_filter",
    }


def _error(fault: Fault) -> dict[str, Any]:
    kind = _TYPES.get(fault.status)
    if kind is None:
        kind = "invalid_request_error" if fault.status < 500 else "server_error"
    return {"message": fault.message, "type": kind, "param": None, "code": fault.kind}
