"""What is attacked: anything that answers conversations and may block some.

Owns the `Target` protocol and the one over HTTP, with retries, bounded concurrency and a cache of
paid answers. A block is an answer, not a failure. Knows nothing of forms and of judging.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import httpx
import msgspec
import openai

from charter.cache import CallCache
from charter.errors import InputError, ModelError
from charter.models import openai_wire as wire
from charter.models.calls import Call, Caller, Reply
from charter.models.endpoint import Address, EndpointConfig, address
from charter.models.failures import AttemptError, Usage, attributed
from charter.models.headers import pause
from charter.models.keys import key_for
from charter.models.spend import Ledger, likely_tokens
from charter.records import Message, Record, Request, Sampling, digest

_PATIENCE_S = 5.0
BLOCKED = "content_filter"


class Answered(Record, frozen=True):
    """What a target gave back.

    Attributes:
        text: the answer, or the refusal of the guard that blocked it.
        blocked: whether a guard did.
        stage: of the guard, `prompt` or `answer`; "" if it does not say.
        failure: why there is no answer at all, else "".
    """

    text: str
    blocked: bool = False
    stage: str = ""
    failure: str = ""


class Target(Protocol):
    """Answers conversations."""

    @property
    def identity(self) -> str:
        """Name and revision, with the guard's where it is known."""

    def ask(
        self, conversations: Sequence[tuple[Message, ...]], sampling: Sampling, seed: int
    ) -> list[Answered]:
        """One answer a conversation, in order."""


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    finish_reason: str | None = None
    message: _Message = msgspec.field(default_factory=_Message)


class _Notice(msgspec.Struct):
    stage: str = ""


class _Used(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int = 0


class _Body(msgspec.Struct):
    choices: list[_Choice]
    usage: _Used | None = None
    charter: _Notice | None = None

    def read(self) -> Answered:
        if not self.choices:
            raise AttemptError("malformed", "an answer without choices")
        first = self.choices[0]
        text = (first.message.content or first.message.refusal or "").strip()
        blocked = first.finish_reason == BLOCKED
        return Answered(text, blocked, self.charter.stage if blocked and self.charter else "")


@dataclass(frozen=True, slots=True)
class Found:
    """What an endpoint says of itself: a model's name, and the guard's identity or ""."""

    model: str
    guard: str


class HttpTarget:
    """See `Target`. To be closed after use.

    Args:
        url: OpenAI-compatible; ends in `/v1`.
        found: model to ask for, and the guard, which the cache is kept apart by.
        config: concurrency, retries, timeout.
        cache: where answers are kept, so that a run that was cut off goes on for free.

    Raises:
        InputError: the URL cannot be used.
    """

    def __init__(
        self, url: str, found: Found, config: EndpointConfig, cache: CallCache | None = None
    ) -> None:
        self.address, self.guard = _address(url, found.model), found.guard
        key, first = key_for(self.address), self.address.urls[0]
        client = openai.AsyncOpenAI(
            api_key=key, base_url=first, max_retries=0, timeout=config.timeout_s
        )
        self._clients, ledger = [client], Ledger(config)
        self._caller = Caller(self.address, config, self._clients, ledger=ledger, cache=cache)

    @property
    def identity(self) -> str:
        """See `Target`."""
        return f"{self.address.identity}+{self.guard}" if self.guard else self.address.identity

    def ask(
        self, conversations: Sequence[tuple[Message, ...]], sampling: Sampling, seed: int
    ) -> list[Answered]:
        """See `Target`; a call that failed after its retries is an `Answered` with a failure.

        Raises:
            ModelError: nobody is there, or the key or the model's name is refused.
        """
        calls = [self._call(Request(said, sampling, seed)) for said in conversations]
        return [
            found if isinstance(found, Answered) else Answered("", failure=found.reason)
            for found in self._caller.run(calls, Answered)
        ]

    def close(self) -> None:
        """Close connections and thread."""
        self._caller.close([client.close for client in self._clients])

    def _call(self, request: Request) -> Call[openai.AsyncOpenAI]:
        likely = likely_tokens(request.messages, request.sampling.max_tokens)
        body = wire.sampled(self.address, request)

        async def send(client: openai.AsyncOpenAI) -> Reply:
            try:
                with attributed(openai):
                    made = client.chat.completions.with_raw_response.create(**body)
                    raw = (await made).http_response
                    found = msgspec.json.decode(raw.content, type=_Body)
            except AttemptError as failed:
                return Reply(_filtered(failed), failed.paid)
            used = found.usage
            paid = Usage(used.prompt_tokens, used.completion_tokens) if used else likely
            return Reply(found.read(), paid, pause(raw.headers))

        return Call(digest(["redteam", self.identity, request], length=32), likely, send)


def discover(url: str, model: str | None) -> Found:
    """The first model that an endpoint lists, unless one is named; and its guard's identity.

    Raises:
        InputError: the URL cannot be used.
        ModelError: the endpoint does not answer, or lists no model.
    """
    where = _address(url, model or "unknown")
    return Found(model or _first_model(where), _guard_of(where.urls[0]))


def _address(url: str, model: str) -> Address:
    if urlsplit(url).scheme not in ("http", "https") or not url.rstrip("/").endswith("/v1"):
        raise InputError(
            f"{url!r} cannot be used", field="--target", expected="a URL that ends in /v1"
        )
    return address(f"openai:{model}@{url}")


def _first_model(where: Address) -> str:
    with openai.OpenAI(
        api_key=key_for(where), base_url=where.urls[0], max_retries=2, timeout=_PATIENCE_S * 2
    ) as client:
        try:
            with attributed(openai):
                listed = client.models.list().data
        except AttemptError as failed:
            said = f"{where.urls[0]} lists no models ({failed}); name one with --model"
            raise ModelError(said) from failed
    if not listed:
        raise ModelError(f"{where.urls[0]} lists no models; name one with --model")
    return listed[0].id


def _guard_of(url: str) -> str:
    """What `/healthz` of this project's server says; "" of any other."""
    try:
        root = url.removesuffix("/v1")
        said = httpx.get(f"{root}/healthz", timeout=_PATIENCE_S, trust_env=False).json()
        return str(said.get("classifier", "")) if isinstance(said, dict) else ""
    except (httpx.HTTPError, ValueError):
        return ""


def _filtered(failed: AttemptError) -> Answered:
    """A prompt that was turned away with an error in place of an answer, as Azure's filter does."""
    if failed.reason == "bad_request" and BLOCKED in failed.detail:
        return Answered("", blocked=True, stage="prompt")
    raise failed
