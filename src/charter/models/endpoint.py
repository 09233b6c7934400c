"""Remote models by name: `openai:NAME`, `openai:NAME@URL[,URL…]`, `anthropic:NAME[@URL]`.

Owns the names and the `endpoint:` block of a recipe. Knows no network and no key: keys come from
the environment, and a name that carries one is refused, since names are written into records.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta

from charter.errors import InputError
from charter.models.vllm_config import VLLMConfig
from charter.records import Record, digest

PROVIDERS = ("openai", "anthropic")
_FORMS = "openai:NAME, openai:NAME@http://host:port/v1, anthropic:NAME or anthropic:NAME@URL"

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]
Amount = Annotated[float, Meta(ge=0)]


class Price(Record, frozen=True):
    """What a model costs, in any one currency for a million tokens."""

    input: Amount
    output: Amount


class EndpointConfig(Record, frozen=True):
    """The `endpoint:` block of a recipe: how remote models are called, and what they may cost."""

    concurrency: Count = 8
    """Calls in flight at a time, for each URL."""
    timeout_s: Seconds = 120.0
    """Seconds that one attempt may take, from first to last byte."""
    retries: Annotated[int, Meta(ge=0)] = 5
    """Further attempts after a failed one."""
    backoff_s: Seconds = 0.5
    """Before retry k a call waits between 0 and `backoff_s` x 2^k seconds (full jitter)."""
    max_wait_s: Seconds = 60.0
    """The longest wait before an attempt. A server that asks for a longer one has failed."""
    give_up_after: Count = 10
    """So many calls in a row that failed after all of their retries are an outage: the run ends."""
    max_tokens_spent: Annotated[int, Meta(ge=1)] | None = None
    """Cap on tokens, read and written, over the whole run and its resumptions."""
    max_money: Annotated[float, Meta(gt=0)] | None = None
    """The same in money; needs `prices` of every remote model that is used."""
    prices: dict[str, Price] = {}
    """By the provider's own name of the model, without prefix and URL."""
    logprobs: Literal["chat", "completions"] = "chat"
    """Where option likelihoods are asked for: of the chat API, or of the older text API."""

    vllm: VLLMConfig = VLLMConfig()
    """How vLLM is loaded for `vllm:NAME`, which is no endpoint: it runs in the process itself."""

    def admit(self, model: str) -> None:
        """Check, before anything is called, that a model's calls can be counted.

        Raises:
            InputError: there is a cap in money, and no price.
        """
        if self.max_money is not None and model not in self.prices:
            raise InputError(
                f"a cap in money needs the price of {model!r}",
                field="endpoint.prices",
                expected=f"{model}: {{input: …, output: …}} for a million tokens",
            )


class Address(Record, frozen=True):
    """A remote model's name, taken apart. Without a URL the provider's own is used."""

    provider: str
    model: str
    urls: tuple[str, ...] = ()

    @property
    def identity(self) -> str:
        """Name and digest, as written into records; URLs themselves are not.

        Only the first URL counts: further ones are replicas, and adding one must not make the
        answers that were paid for unknown.
        """
        return f"{self.provider}:{self.model}@{digest([self.model, self.urls[:1]], length=12)}"


def is_remote(name: str) -> bool:
    """Whether a model name stands for an endpoint."""
    return name.partition(":")[0] in PROVIDERS and ":" in name


def address(name: str) -> Address:
    """Take a remote model's name apart.

    Raises:
        InputError: it is no such name, or a URL in it is not usable.
    """
    match = re.fullmatch(r"(openai|anthropic):(.+?)(?:@(https?://.+))?", name)
    if not match or "://" in match[2]:
        raise InputError(f"cannot read model name {name!r}", expected=_FORMS)
    provider, model, listed = match.groups()
    urls = tuple(url.strip().rstrip("/") for url in listed.split(",")) if listed else ()
    for url in urls:
        _check(url)
    return Address(provider, model, urls)


def _check(url: str) -> None:
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query:
        # The URL itself is left out of the message: it may hold the secret.
        raise InputError(
            f"the URL of host {parts.hostname!r} carries a user name, password or query",
            expected="a plain URL; keys come from OPENAI_API_KEY or ANTHROPIC_API_KEY",
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"cannot read URL {url!r}", expected=_FORMS)
