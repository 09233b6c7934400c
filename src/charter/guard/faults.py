"""What can go wrong with one exchange, and the HTTP status each kind has.

A fault ends one exchange, never the server. Its message is our own text: nothing that upstream
said stands in it, since that has not been checked.
"""

from __future__ import annotations

from typing import Literal

from charter.errors import WorkError

FaultKind = Literal[
    "invalid_request",
    "unauthorised",
    "not_found",
    "too_large",
    "queue_full",
    "guard_failed",
    "upstream_refused",
    "upstream_unreachable",
    "upstream_error",
    "upstream_malformed",
    "upstream_closed",
    "upstream_timeout",
    "internal",
]
STATUS: dict[FaultKind, int] = {
    "invalid_request": 400,
    "unauthorised": 401,
    "not_found": 404,
    "too_large": 413,
    "queue_full": 429,
    "internal": 500,
    "upstream_refused": 502,
    "upstream_error": 502,
    "upstream_unreachable": 502,
    "upstream_malformed": 502,
    "upstream_closed": 502,
    "guard_failed": 503,
    "upstream_timeout": 504,
}


class Fault(WorkError):  # noqa: N818 — short, as it stands in every second line here
    """One exchange cannot be completed.

    Args:
        kind: what went wrong; decides the HTTP status unless `status` is given.
        message: our own words for the client.
        status: the HTTP status, where upstream's own is passed on.
        body: a whole error body for the client, where upstream's own was checked.
        headers: more headers of the answer, such as `retry-after`.
    """

    def __init__(
        self,
        kind: FaultKind,
        message: str,
        *,
        status: int | None = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message
        self.status = STATUS[kind] if status is None else status
        self.body, self.headers = body, headers or {}
