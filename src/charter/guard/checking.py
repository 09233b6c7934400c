"""Scoring an answer in windows that do not depend on how the answer arrived.

Owns: cutting text into fixed windows, feeding them, and knowing how far each text was checked.
Knows no HTTP, no JSON, and nothing of what is sent to whom. Positions are in characters.

A *channel* is one text of a choice: its content, its reasoning, one tool call. Each has a stream
of its own, so that texts which arrive interleaved are scored as what they are. When a choice goes
over to another channel, the one it leaves is scored to its end.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from charter.guard.decision import Decision, Stream, Thresholds
from charter.guard.dialect import Channel, Event, Key

_SURROGATE = re.compile("[\ud800-\udfff]")
_HIGH_LAST = re.compile("[\ud800-\udbff]\\Z")


class TextCheck:
    """One channel: text comes in as it arrives, and is scored window by window.

    Args:
        stream: scores the windows.
        window: characters of a window.
        thresholds: what a score leads to.
        enforce: stop at the first block. Otherwise (shadow) scoring goes on.
        keep_text: keep the text itself, for the audit.
    """

    def __init__(
        self,
        stream: Stream,
        window: int,
        thresholds: Thresholds,
        *,
        enforce: bool = True,
        keep_text: bool = False,
    ) -> None:
        self.stream, self.window, self.thresholds = stream, window, thresholds
        self.enforce = enforce
        self.received = self.checked = 0
        self.top: Decision | None = None
        self._hash, self._pending, self._half = hashlib.sha256(), "", ""
        self._kept: list[str] | None = [] if keep_text else None

    @property
    def blocked(self) -> bool:
        """Whether a window went over the threshold."""
        return self.top is not None and self.top.action == "block"

    @property
    def stopped(self) -> bool:
        """Whether nothing after `checked` may leave."""
        return self.enforce and self.blocked

    @property
    def sha256(self) -> str:
        """Digest of the text received."""
        return self._hash.hexdigest()

    @property
    def text(self) -> str | None:
        """The text received, if it was to be kept."""
        return None if self._kept is None else "".join(self._kept)

    def push(self, text: str) -> int:
        """Take more text; score the windows it fills.

        Returns:
            the position at which this text ends.
        """
        if self._half or _SURROGATE.search(text):
            text = self._whole(text)
        self._take(text)
        while len(self._pending) >= self.window and not self.stopped:
            head, self._pending = self._pending[: self.window], self._pending[self.window :]
            self._score(head)
        return self.received + len(self._half)

    def settle(self) -> None:
        """Score what does not fill a window: the text ends or pauses here by its own form."""
        if self._half:
            self._half = ""
            self._take("\ufffd")
        if self._pending and not self.stopped:
            head, self._pending = self._pending, ""
            self._score(head)

    def _take(self, text: str) -> None:
        self.received += len(text)
        self._pending += text
        self._hash.update(text.encode())
        if self._kept is not None:
            self._kept.append(text)

    def _score(self, text: str) -> None:
        score = self.stream.feed(text)
        clauses = self.stream.clauses if score >= self.thresholds.answer else ()
        decision = self.thresholds.decide("answer", score, clauses)
        if self.top is None or decision.score > self.top.score:
            self.top = decision
        if not self.stopped:
            self.checked += len(text)

    def _whole(self, text: str) -> str:
        """Join surrogate halves, which JSON escapes can split between two events."""
        text, self._half = self._half + text, ""
        if _HIGH_LAST.search(text):
            text, self._half = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one channel that came with one event."""

    key: Key
    check: TextCheck
    start: int
    end: int

    @property
    def unchecked(self) -> int:
        """Characters of this stretch that have not passed the check."""
        return max(0, self.end - max(self.start, self.check.checked))


class AnswerChecks:
    """All channels of one answer.

    Args:
        new_check: makes the check of a new channel.
    """

    def __init__(self, new_check: Callable[[], TextCheck]) -> None:
        self.new_check = new_check
        self.by_key: dict[Key, TextCheck] = {}
        self.blocked: dict[int, Decision] = {}
        self._current: dict[int, Channel] = {}

    def score(self, events: Iterable[Event]) -> list[list[Span]]:
        """Score the texts of events; the spans of each, in order.

        May run on another thread than the caller's, never twice at once.
        """
        return [self._event(event) for event in events]

    def _event(self, event: Event) -> list[Span]:
        spans = []
        for piece in event.pieces:
            if piece.choice not in self.blocked:
                spans.append(self._piece((piece.choice, piece.channel), piece.text))
        for choice in self._current.copy() if event.last else event.settled:
            self._settle(choice)
        return spans

    def _piece(self, key: Key, text: str) -> Span:
        choice, channel = key
        if self._current.get(choice, channel) != channel:
            self._settle(choice)
        self._current[choice] = channel
        check = self.by_key.get(key)
        if check is None:
            check = self.by_key[key] = self.new_check()
        start = check.received
        if choice in self.blocked:  # by the channel just left
            return Span(key, check, start, start + len(text))
        end = check.push(text)
        self._note(choice, check)
        return Span(key, check, start, end)

    def _settle(self, choice: int) -> None:
        channel = self._current.pop(choice, None)
        if channel is not None and choice not in self.blocked:
            check = self.by_key[choice, channel]
            check.settle()
            self._note(choice, check)

    def _note(self, choice: int, check: TextCheck) -> None:
        if check.stopped and check.top is not None:
            self.blocked[choice] = check.top
