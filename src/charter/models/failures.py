"""What can go wrong with one attempt at a remote call, in a dozen words that are counted.

Owns the reasons, which of them are worth another attempt, which end a run, and how the errors of
an SDK become one of them. The two SDKs name their errors alike, so one reading serves both. Knows
neither waiting nor money.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

import msgspec

from charter.models.headers import Headers, retry_after
from charter.models.keys import presentable

RETRIED: Final = frozenset({"rate_limited", "server_error", "connection", "timeout", "malformed"})
"""Reasons that may be gone at the next attempt."""
OUTAGE: Final = RETRIED
"""Reasons that, many times in a row, mean that nobody is there."""
ENDS_RUN: Final = {
    "auth": "the key was refused (OPENAI_API_KEY or ANTHROPIC_API_KEY)",
    "quota": "the account's quota is used up",
    "unknown_model": "no such model, or the URL's path is wrong",
    "no_logprobs": "this server gives no log-probabilities: take the judge `votes` instead",
}
"""Reasons that no other call would escape, and what they mean."""


class Usage(msgspec.Struct, frozen=True):
    """Tokens of a call: those read (the prompt) and those written (the answer)."""

    read: int = 0
    written: int = 0
    cached: int | None = None
    """Those of `read` that the server found in its prefix cache; `None`: it has not said."""

    def __add__(self, other: Usage) -> Usage:
        told = [u.cached for u in (self, other) if u.cached is not None]
        cached = sum(told) if told else None
        return Usage(self.read + other.read, self.written + other.written, cached)


class AttemptError(Exception):
    """One attempt failed. Never leaves `models`: it becomes a retry, a failed call or a run's end.

    Args:
        reason: one of the words above, or `bad_request`, `content_filter`, `truncated`.
        detail: what the other side said.
        retry_after: seconds that the server asked to be left alone.
        paid: tokens that were charged all the same.
    """

    def __init__(
        self, reason: str, detail: str = "", *, retry_after: float = 0.0, paid: Usage | None = None
    ) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, presentable(detail)
        self.retry_after, self.paid = retry_after, paid or Usage()


@contextmanager
def attributed(sdk: ModuleType) -> Iterator[None]:
    """Give every error of an SDK, or of reading what it received, its reason."""
    try:
        yield
    except sdk.APITimeoutError as error:
        raise AttemptError("timeout", str(error)) from error
    except sdk.APIConnectionError as error:
        raise AttemptError("connection", str(error.__cause__ or error)) from error
    except sdk.APIStatusError as error:
        said = error.body or error.message
        raise of_status(error.status_code, said, error.response.headers) from error
    except sdk.APIResponseValidationError as error:
        raise AttemptError("malformed", str(error)) from error
    except msgspec.MsgspecError as error:
        raise AttemptError("malformed", str(error)) from error


def of_status(status: int, body: Any, headers: Headers) -> AttemptError:
    """The failure that an HTTP status stands for (RFC 9110; 529 is "overloaded")."""
    said = str(body)
    if status == 429 and "insufficient_quota" in said:
        return AttemptError("quota", said)
    fixed = {401: "auth", 402: "quota", 403: "auth", 404: "unknown_model", 408: "timeout"}
    fixed |= {409: "server_error", 425: "server_error", 429: "rate_limited"}
    reason = fixed.get(status, "server_error" if status >= 500 else "bad_request")
    return AttemptError(reason, f"HTTP {status}: {said}", retry_after=retry_after(headers))
