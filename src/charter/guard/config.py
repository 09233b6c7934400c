"""Settings of the guard's server. Plain data: who reads a setting decides what it does."""

from __future__ import annotations

from typing import Literal

from charter.errors import InputError
from charter.guard.decision import Thresholds
from charter.records import Record

Mode = Literal["enforce", "shadow"]
OnError = Literal["closed", "open"]

REFUSAL = "I can't help with that. This request was stopped by the guard of this service."


class Limits(Record, frozen=True):
    """How much the server takes on, and how long it waits. Sizes in bytes, times in seconds."""

    request_bytes: int = 4 << 20
    """Larger requests are answered 413."""
    frame_bytes: int = 1 << 20
    """Longest event accepted from upstream in a stream."""
    answer_bytes: int = 32 << 20
    """Longest answer accepted from upstream, streamed or not."""
    active: int = 1024
    """Exchanges worked on at once."""
    waiting: int = 256
    """Exchanges that may wait for their turn; one more is answered 429."""
    wait_seconds: float = 30.0
    """Longest wait for a turn; then 429."""
    connect_seconds: float = 10.0
    """Time for upstream to accept a connection."""
    idle_seconds: float = 120.0
    """Longest silence of upstream."""
    answer_seconds: float = 900.0
    """Longest answer, from the request to its last byte."""
    score_seconds: float = 30.0
    """Time for the classifier to score one step; then it counts as failed."""


class GuardSettings(Record, frozen=True):
    """How the guard behaves."""

    mode: Mode = "enforce"
    """`shadow` scores and records, and lets everything through."""
    on_error: OnError = "closed"
    """What happens when the classifier fails: nothing more leaves, or everything does."""
    refusal: str = REFUSAL
    """What the client reads in place of a blocked text."""
    window: int = 32
    """Characters scored at a time. The answer is cut into such windows whatever upstream sends."""
    thresholds: Thresholds = Thresholds()
    log_text: bool = False
    """Whether the audit log holds texts themselves, not only their digests."""
    limits: Limits = Limits()

    @property
    def enforce(self) -> bool:
        """Whether a block blocks."""
        return self.mode == "enforce"

    @property
    def open_on_error(self) -> bool:
        """Whether text passes when the classifier has failed. Shadow mode never disturbs."""
        return self.on_error == "open" or not self.enforce

    def check(self) -> GuardSettings:
        """These settings, if they make sense.

        Raises:
            InputError: a value is out of range.
        """
        wrong = [
            ("window", self.window, "a whole number from 1 on", self.window >= 1),
            ("refusal", self.refusal, "some text", bool(self.refusal.strip())),
            *(
                (
                    f"thresholds.{name}",
                    value,
                    "a number in [0, 1]",
                    value is None or 0 <= value <= 1,
                )
                for name, value in (
                    ("prompt", self.thresholds.prompt),
                    ("answer", self.thresholds.answer),
                    ("escalate", self.thresholds.escalate),
                )
            ),
        ]
        for field, value, expected, fine in wrong:
            if not fine:
                raise InputError(f"{value!r} cannot be used", field=field, expected=expected)
        return self
