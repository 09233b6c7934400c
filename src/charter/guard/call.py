"""What an exchange is made of: a request as it came, and what all exchanges of a server share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from charter.guard.audit import AuditLog
from charter.guard.config import GuardSettings
from charter.guard.decision import Classifier
from charter.guard.dialect import Dialect
from charter.guard.metrics import Metrics
from charter.guard.scoring import Scorer
from charter.guard.upstream import Headers, Upstream


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it came.

    Attributes:
        dialect: its wire format.
        request: our id for it.
        body: its bytes.
        data: what they mean.
        headers: its headers, names in lower case.
    """

    dialect: Dialect
    request: str
    body: bytes
    data: dict[str, Any]
    headers: Headers

    @property
    def streamed(self) -> bool:
        """Whether the answer is to be streamed."""
        return self.data.get("stream") is True


@dataclass(frozen=True, slots=True)
class Parts:
    """What all exchanges of a server share."""

    classifier: Classifier
    settings: GuardSettings
    upstream: Upstream
    audit: AuditLog
    metrics: Metrics
    scorer: Scorer
