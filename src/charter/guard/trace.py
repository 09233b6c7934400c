"""What happened in one exchange, as it goes on, and the audit record of it in the end."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from charter.guard.audit import AuditedText, AuditRecord, State, channel_name
from charter.guard.checking import AnswerChecks
from charter.guard.config import GuardSettings
from charter.guard.conversation import Conversation
from charter.guard.decision import Action, Decision, Stage
from charter.guard.faults import Fault
from charter.guard.streaming import HoldBack

_SEVERITY: dict[Action, int] = {"allow": 0, "escalate": 1, "block": 2}


class Trace:
    """Notes on one exchange.

    Args:
        request: its id.
        dialect: its wire format.
        data: the request.
        settings: what was in force.
    """

    def __init__(
        self, request: str, dialect: str, data: Mapping[str, Any], settings: GuardSettings
    ) -> None:
        self.request, self.dialect, self.data, self.settings = request, dialect, data, settings
        self.keep_text = settings.log_text
        self.prompt: Conversation | None = None
        self.checks: AnswerChecks | None = None
        self.hold: HoldBack | None = None
        self.outcome, self.reason = "ok", ""
        self.withheld, self.unchecked_run = False, 0
        self._decision: Decision | None = None
        self._scored = self._failed = self._closed = False
        self._started, self._at = time.perf_counter(), datetime.now(UTC)
        self._first_byte: float | None = None

    @property
    def scoring(self) -> bool:
        """Whether answers are being scored: not after the classifier has failed."""
        return self._scored

    @property
    def has_left(self) -> bool:
        """Whether the client has been sent anything."""
        return self._first_byte is not None

    def left(self) -> None:
        """Bytes leave for the client."""
        if self._first_byte is None:
            self._first_byte = time.perf_counter() - self._started

    def prompt_decided(self, decision: Decision) -> None:
        """The prompt was scored."""
        self._decision, self._scored = decision, True

    def not_scored(self, reason: str) -> None:
        """The classifier could not do its work on all of this."""
        self.reason, self._failed, self._scored = reason, True, False

    def failed(self, fault: Fault) -> None:
        """The exchange ended with a fault."""
        self.outcome = fault.kind
        self._closed = self._failed
        self.reason = self.reason or fault.kind

    def record(self, classifier: str) -> AuditRecord:
        """The audit record."""
        stage, verdict = self._verdict()
        model = self.data.get("model")
        return AuditRecord(
            request=self.request,
            at=self._at.isoformat(timespec="milliseconds"),
            dialect=self.dialect,
            model=model[:200] if isinstance(model, str) else "",
            streamed=self.data.get("stream") is True,
            mode=self.settings.mode,
            on_error=self.settings.on_error,
            classifier=classifier,
            state=self._state(verdict),
            action=None if verdict is None else verdict.action,
            stage=stage,
            clauses=() if verdict is None else verdict.clauses,
            outcome=self.outcome,
            reason=self.reason,
            prompt=self._prompt_text(),
            answers=self._answer_texts(),
            withheld=self.withheld,
            unchecked_run=max(self.unchecked_run, self.hold.longest_unchecked if self.hold else 0),
            seconds=round(time.perf_counter() - self._started, 6),
            first_byte_seconds=None if self._first_byte is None else round(self._first_byte, 6),
        )

    def _state(self, verdict: Decision | None) -> State:
        if verdict is not None and verdict.action == "block" and self.settings.enforce:
            return "blocked"
        if self._failed:
            return "failed_closed" if self._closed else "failed_open"
        return "scanned" if self._decision is not None else "skipped"

    def _verdict(self) -> tuple[Stage | None, Decision | None]:
        """The most severe decision, and where it fell."""
        found: list[tuple[Stage, Decision]] = []
        if self._decision is not None:
            found.append(("prompt", self._decision))
        checks = self.checks.by_key.values() if self.checks else ()
        found += [("answer", check.top) for check in list(checks) if check.top is not None]
        if not found:
            return None, None
        return max(found, key=lambda pair: (_SEVERITY[pair[1].action], pair[1].score))

    def _prompt_text(self) -> AuditedText | None:
        if self.prompt is None:
            return None
        text = "\n".join(f"{m.role}: {m.content}" for m in self.prompt.messages)
        return AuditedText(
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            chars=len(text),
            score=None if self._decision is None else self._decision.score,
            text=text if self.keep_text else None,
        )

    def _answer_texts(self) -> tuple[AuditedText, ...]:
        checks = dict(self.checks.by_key) if self.checks else {}
        return tuple(
            AuditedText(
                sha256=check.sha256,
                chars=check.received,
                choice=choice,
                channel=channel_name(channel),
                score=None if check.top is None else check.top.score,
                text=check.text,
            )
            for (choice, channel), check in checks.items()
        )
