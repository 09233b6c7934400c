"""Models behind the Anthropic API, through the `anthropic` SDK. Text only: it has no log-probs.

Owns what is sent and how an answer is read; everything that can happen on the way is `calls`.
The API takes no seed: what makes a run repeatable is the cache.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import anthropic
import msgspec

from charter.cache import CallCache, call_key
from charter.errors import InputError
from charter.models.calls import Call, Caller, Reply
from charter.models.endpoint import Address, EndpointConfig
from charter.models.failures import AttemptError, Usage, attributed
from charter.models.headers import pause
from charter.models.keys import key_for
from charter.models.spend import Ledger, likely_tokens
from charter.records import Completion, Request, Sampling


class AnthropicModel:
    """Satisfies `records.Model`.

    Args and errors as for `openai.OpenAIModel`; the key is ANTHROPIC_API_KEY.
    """

    def __init__(
        self,
        address: Address,
        config: EndpointConfig,
        *,
        cache: CallCache | None = None,
        ledger: Ledger | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.address, self.config = address, config
        key = key_for(address)
        self._clients = [
            anthropic.AsyncAnthropic(
                api_key=key, base_url=url, max_retries=0, timeout=config.timeout_s
            )
            for url in address.urls or (None,)
        ]
        ledger = ledger or Ledger(config)
        self._caller = Caller(address, config, self._clients, ledger=ledger, cache=cache, rng=rng)

    @property
    def identity(self) -> str:
        """Name and digest of name and URL."""
        return self.address.identity

    @property
    def concurrency(self) -> int:
        """Calls that may be under way at a time."""
        return self._caller.concurrency

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """One completion a request, in order; a failed call gives one with `finish="error"`.

        Raises:
            InputError: a setting was asked for that the API does not have.
            ModelError: the run must end; see `calls`.
        """
        return self._caller.texts([self._text(r) for r in requests])

    def close(self) -> None:
        """Close connections and thread."""
        self._caller.close([client.close for client in self._clients])

    def _text(self, request: Request) -> Call[anthropic.AsyncAnthropic]:
        likely = likely_tokens(request.messages, request.sampling.max_tokens)
        body = self._body(request)

        async def send(client: anthropic.AsyncAnthropic) -> Reply:
            with attributed(anthropic):
                raw = (await client.messages.with_raw_response.create(**body)).http_response
                reply = msgspec.json.decode(raw.content, type=_Reply)
            return Reply(_completion(reply), reply.paid, pause(raw.headers))

        return Call(call_key(self.identity, request), likely, send)

    def _body(self, request: Request) -> dict[str, Any]:
        system = "\n\n".join(m.content for m in request.messages if m.role == "system")
        body: dict[str, Any] = {
            "model": self.address.model,
            "max_tokens": request.sampling.max_tokens,
            "messages": [
                {"role": m.role, "content": m.content}
                for m in request.messages
                if m.role != "system"
            ],
        }
        if system:
            body["system"] = system
        settings = _settings(request.sampling)
        return {**body, "extra_body": settings} if settings else body


class _Block(msgspec.Struct):
    type: str
    text: str = ""


class _Tokens(msgspec.Struct):
    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class _Reply(msgspec.Struct):
    content: list[_Block]
    usage: _Tokens
    stop_reason: str | None = None

    @property
    def paid(self) -> Usage:
        """Tokens read, from the cache or not, and written."""
        found = self.usage.cache_read_input_tokens
        cached = (self.usage.cache_creation_input_tokens, found)
        read = self.usage.input_tokens + sum(n or 0 for n in cached)
        return Usage(read, self.usage.output_tokens, found)


def _completion(reply: _Reply) -> Completion:
    text = "".join(block.text for block in reply.content if block.type == "text").strip()
    cut = reply.stop_reason in ("max_tokens", "model_context_window_exceeded")
    if reply.stop_reason == "refusal" and not text:
        raise AttemptError("content_filter", "withheld by the server", paid=reply.paid)
    if cut and not text:
        raise AttemptError("truncated", "cut off before the first word", paid=reply.paid)
    return Completion(text, reply.paid.written, "length" if cut else "stop")


def _settings(sampling: Sampling) -> dict[str, float]:
    """Sampling settings that are not the API's own defaults.

    They go into the body by hand: newer versions of the SDK have no arguments for them any more,
    since newer models refuse them. Such a model answers "bad request", and says which.
    """
    if sampling.repetition_penalty != 1.0:
        raise InputError(
            f"repetition_penalty {sampling.repetition_penalty} cannot be asked of Anthropic models",
            expected="1.0",
        )
    wanted = {"temperature": sampling.temperature, "top_p": sampling.top_p}
    return {name: value for name, value in wanted.items() if value != 1.0}
