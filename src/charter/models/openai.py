"""Models behind any server that speaks the OpenAI protocol, through the `openai` SDK.

Joins what is said (`openai_wire`), what can happen on the way (`calls`) and how likelihoods are
read (`toplist`). Reproducible as far as the server is: a request's seed is sent along, and an
answer once received stays in the cache.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import openai

from charter.cache import CallCache, call_key
from charter.errors import CallFailed
from charter.models import openai_wire as wire
from charter.models.calls import Call, Caller, Reply
from charter.models.endpoint import Address, EndpointConfig
from charter.models.keys import key_for
from charter.models.spend import Ledger, likely_tokens
from charter.models.toplist import NEVER, depth, option_logprobs
from charter.records import Completion, Message, Request, digest


class OpenAIModel:
    """Satisfies `records.Model` and `records.ChoiceModel`. To be closed after use.

    Args:
        address: the model, and its servers.
        config: see `EndpointConfig`.
        cache: where answers are kept as they arrive.
        ledger: what may be spent; one of its own if none is shared.
        rng: source of the jitter between retries.

    Raises:
        InputError: the provider's own endpoint is meant and OPENAI_API_KEY is not set.
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
        self.address, self.config, key = address, config, key_for(address)
        self._clients = [
            openai.AsyncOpenAI(api_key=key, base_url=url, max_retries=0, timeout=config.timeout_s)
            for url in address.urls or (None,)
        ]
        ledger = ledger or Ledger(config)
        self._caller = Caller(address, config, self._clients, ledger=ledger, cache=cache, rng=rng)

    @property
    def identity(self) -> str:
        """Name and digest of name and URL; a server does not tell the revision of its weights."""
        return self.address.identity

    @property
    def concurrency(self) -> int:
        """Calls that may be under way at a time."""
        return self._caller.concurrency

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """One completion a request, in order; a failed call gives one with `finish="error"`.

        Raises:
            ModelError: the run must end; see `calls`.
        """
        return self._caller.texts([self._text(r) for r in requests])

    def choice_logprobs(
        self, prefix: Sequence[Message], suffixes: Sequence[str], options: Sequence[str]
    ) -> list[list[float]]:
        """See `records.ChoiceModel` and, for what a server does not list, `toplist`.

        The suffixes are calls of their own: a server with prefix caching pays for the prefix once,
        and of several servers they go to the same one as far as its load allows.

        Raises:
            CallFailed: for at least one suffix there is no answer; the other answers are kept.
            ModelError: the server gives no log-probabilities, or the run must end.
        """
        calls = [self._choice(prefix, suffix, options) for suffix in suffixes]
        rows: list[list[float]] = []
        for answer in self._caller.run(calls, list[float | None]):
            if isinstance(answer, CallFailed):
                raise answer
            rows.append([NEVER if p is None else p for p in answer])
        return rows

    def close(self) -> None:
        """Close connections and thread."""
        self._caller.close([client.close for client in self._clients])

    def _text(self, request: Request) -> Call[openai.AsyncOpenAI]:
        likely = likely_tokens(request.messages, request.sampling.max_tokens)
        body = wire.sampled(self.address, request)

        async def send(client: openai.AsyncOpenAI) -> Reply:
            return await wire.text(client, body, likely)

        return Call(call_key(self.identity, request), likely, send)

    def _choice(
        self, prefix: Sequence[Message], suffix: str, options: Sequence[str]
    ) -> Call[openai.AsyncOpenAI]:
        *before, last = prefix
        messages = [*before, Message(last.role, last.content + suffix)]
        tokens = depth(options)
        likely = likely_tokens(messages, tokens)
        ask = wire.top_of_chat if self.config.logprobs == "chat" else wire.top_of_text

        async def send(client: openai.AsyncOpenAI) -> Reply:
            reply = await ask(client, self.address, messages, tokens, likely)
            row = option_logprobs(reply.answer, options)
            # JSON has no infinity: an option that was never meant is stored as null.
            stored = [None if p == NEVER else p for p in row]
            return Reply(stored, reply.paid, reply.pause_s)

        asked = [self.identity, self.config.logprobs, messages, options]
        return Call(digest(asked, length=32), likely, send, prefix=digest(list(prefix)))
