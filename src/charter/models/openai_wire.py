"""The OpenAI protocol as it goes over the wire: what is sent, and how an answer is read.

Owns the bodies of both APIs, chat and text, and decoding what comes back. It is decoded here and
not by the SDK, which lets malformed answers through. Knows nothing of retries or caches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import openai

from charter.models.calls import Reply
from charter.models.endpoint import Address
from charter.models.failures import AttemptError, Usage, attributed
from charter.models.headers import pause
from charter.models.toplist import Position
from charter.records import Completion, Message, Request

Client = openai.AsyncOpenAI
_TOP_CHAT, _TOP_TEXT = 20, 5
"""Alternatives that a server lists for a token, at most: in the chat and in the text API."""
_SEEDS = 2**31
"""Servers differ in how large a seed they take; every one takes 31 bits."""


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Tokens(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int = 0
    prompt_tokens_details: _Details | None = None


class _Alternative(msgspec.Struct):
    token: str
    logprob: float


class _Token(msgspec.Struct):
    token: str
    top_logprobs: list[_Alternative] = []


class _Logprobs(msgspec.Struct):
    """The chat API fills `content`, the text API the other two."""

    content: list[_Token] | None = None
    tokens: list[str] | None = None
    top_logprobs: list[dict[str, float]] | None = None

    @property
    def positions(self) -> list[Position]:
        if self.content:
            return [
                Position(t.token, [(a.token, a.logprob) for a in t.top_logprobs])
                for t in self.content
            ]
        listed = zip(self.tokens or (), self.top_logprobs or (), strict=False)
        return [Position(token, list(top.items())) for token, top in listed]


class _Words(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    finish_reason: str | None = None
    message: _Words = msgspec.field(default_factory=_Words)
    logprobs: _Logprobs | None = None


class _Reply(msgspec.Struct):
    choices: list[_Choice]
    usage: _Tokens | None = None

    @property
    def first(self) -> _Choice:
        if not self.choices:
            raise AttemptError("malformed", "an answer without choices")
        return self.choices[0]

    def paid(self, likely: Usage) -> Usage:
        """What the server counted; what we expected, if it does not count."""
        if self.usage is None:
            return likely
        details = self.usage.prompt_tokens_details
        cached = details.cached_tokens if details else None
        return Usage(self.usage.prompt_tokens, self.usage.completion_tokens, cached)


def sampled(address: Address, request: Request) -> dict[str, Any]:
    """Body of a chat call for text.

    Settings that only some servers know (`repetition_penalty`) are sent only when they are asked
    for; a server that refuses them fails the call, and nothing is left out in silence.
    """
    sampling = request.sampling
    body = {
        **_asked(address, request.messages, sampling.max_tokens),
        "temperature": sampling.temperature,
        "seed": request.seed % _SEEDS,
    }
    if sampling.top_p < 1.0:
        body["top_p"] = sampling.top_p
    if sampling.repetition_penalty != 1.0:
        body["extra_body"] = {"repetition_penalty": sampling.repetition_penalty}
    return body


async def text(client: Client, body: dict[str, Any], likely: Usage) -> Reply:
    """One attempt at a chat call; the answer is a `Completion`."""
    reply, pause_s = await _chat(client, body)
    choice, paid = reply.first, reply.paid(likely)
    words = (choice.message.content or choice.message.refusal or "").strip()
    cut = choice.finish_reason == "length"
    if choice.finish_reason == "content_filter":
        raise AttemptError("content_filter", "withheld by the server", paid=paid)
    if cut and not words:
        raise AttemptError("truncated", "cut off before the first word", paid=paid)
    return Reply(Completion(words, paid.written, "length" if cut else "stop"), paid, pause_s)


async def top_of_chat(
    client: Client, address: Address, messages: Sequence[Message], tokens: int, likely: Usage
) -> Reply:
    """One attempt at the likeliest first tokens through the chat API; the answer: `Position`s."""
    body = {
        **_asked(address, messages, tokens),
        "temperature": _neutral(tokens),
        "logprobs": True,
        "top_logprobs": _TOP_CHAT,
    }
    with _logprobs_refused():
        reply, pause_s = await _chat(client, body)
    return Reply(_positions(reply, likely), reply.paid(likely), pause_s)


async def top_of_text(
    client: Client, address: Address, messages: Sequence[Message], tokens: int, likely: Usage
) -> Reply:
    """The same through the older text API, for models without a chat format."""
    with _logprobs_refused(), attributed(openai):
        raw = await client.completions.with_raw_response.create(
            model=address.model,
            prompt=_transcript(messages),
            max_tokens=tokens,
            temperature=_neutral(tokens),
            logprobs=_TOP_TEXT,
        )
        reply = msgspec.json.decode(raw.http_response.content, type=_Reply)
    return Reply(_positions(reply, likely), reply.paid(likely), pause(raw.http_response.headers))


async def _chat(client: Client, body: dict[str, Any]) -> tuple[_Reply, float]:
    """What was answered, and how long the server wants a pause."""
    with attributed(openai):
        raw = (await client.chat.completions.with_raw_response.create(**body)).http_response
        return msgspec.json.decode(raw.content, type=_Reply), pause(raw.headers)


def _asked(address: Address, messages: Sequence[Message], tokens: int) -> dict[str, Any]:
    # The provider's newer models take only the newer name, many other servers only the older.
    limit = "max_tokens" if address.urls else "max_completion_tokens"
    turns = [{"role": m.role, "content": m.content} for m in messages]
    return {"model": address.model, "messages": turns, limit: tokens}


def _neutral(tokens: int) -> float:
    """The temperature to ask likelihoods at.

    Some servers scale what they list by the temperature, and 1 leaves it as it is. Where a second
    token is needed the likeliest path is wanted, so there it has to be 0.
    """
    return 1.0 if tokens == 1 else 0.0


def _positions(reply: _Reply, likely: Usage) -> list[Position]:
    found = reply.first.logprobs.positions if reply.first.logprobs else []
    if not found or not found[0].top:
        raise AttemptError("no_logprobs", "the answer holds none", paid=reply.paid(likely))
    return found


@contextmanager
def _logprobs_refused() -> Iterator[None]:
    """Tell a server that does not know the setting from one that dislikes the request."""
    try:
        yield
    except AttemptError as failed:
        if failed.reason == "bad_request" and "logprob" in failed.detail.lower():
            raise AttemptError("no_logprobs", failed.detail) from failed
        raise


def _transcript(messages: Sequence[Message]) -> str:
    names = {"system": "System", "user": "User", "assistant": "Assistant"}
    talk = "\n\n".join(f"{names[m.role]}: {m.content}" for m in messages)
    return f"{talk}\n\nAssistant:"
