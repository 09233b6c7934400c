"""Holding an answer back until it has been checked.

Owns: the queue of events that have arrived and not left. An event leaves when every text in it was
checked, and events leave in their order, so no character is ever ahead of its check. Knows no HTTP
and no sockets: events come in, bytes go out.

When a choice is blocked, what was checked of it leaves to the last window, so what the client
reads does not depend on how upstream cut its answer either.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from charter.guard.checking import AnswerChecks, Span
from charter.guard.decision import Decision
from charter.guard.dialect import Channel, Event, Refusal, Writer


@dataclass(slots=True)
class _Held:
    event: Event
    spans: list[Span]


class HoldBack:
    """One streamed answer on its way to the client.

    Args:
        writer: writes events in the client's dialect.
        checks: scores them.
        refusal: makes the refusal for a decision.
    """

    def __init__(
        self, writer: Writer, checks: AnswerChecks, refusal: Callable[[Decision], Refusal]
    ) -> None:
        self.writer, self.checks, self.refusal = writer, checks, refusal
        self.longest_unchecked = 0
        """Longest run of unchecked characters that left. 0, unless the guard failed open."""
        self.closed: set[int] = set()
        """Choices that were ended with a refusal."""
        self._open, self._run = False, 0
        self._held: deque[_Held] = deque()

    def fail_open(self) -> None:
        """From now on everything leaves: the classifier has failed and is not to stand in the way.

        A block that was decided before stays a block.
        """
        self._open = True

    @property
    def failed(self) -> bool:
        """Whether everything leaves, checked or not."""
        return self._open

    def release(self, event: Event, spans: list[Span]) -> bytes:
        """Take one scored event; the bytes that may leave now."""
        self._held.append(_Held(event, spans))
        return self.drain()

    def release_unchecked(self, event: Event) -> bytes:
        """Take an event that nobody could score; the bytes that leave now."""
        assert self._open, "only a guard that failed open releases what it has not checked"
        self._add_to_run(sum(len(p.text) for p in event.pieces if p.choice not in self.closed))
        return self.release(event, [])

    def drain(self) -> bytes:
        """The bytes that may leave now."""
        out = []
        while self._held:
            head = self._held[0]
            for choice in self._to_refuse(head):
                out.append(self._refuse(head, choice))
            unchecked = [s.unchecked for s in head.spans if s.key[0] not in self.closed]
            if any(unchecked) and not self._open:
                break
            self._add_to_run(sum(unchecked))
            self._held.popleft()
            out.append(self.writer.emit(head.event, self.closed))
        return b"".join(out)

    def _add_to_run(self, unchecked: int) -> None:
        self._run += unchecked
        self.longest_unchecked = max(self.longest_unchecked, self._run)

    def _to_refuse(self, head: _Held) -> list[int]:
        """Choices whose check stopped inside this event."""
        waiting = {s.key[0] for s in head.spans if s.unchecked} - self.closed
        return sorted(waiting & self.checks.blocked.keys())

    def _refuse(self, head: _Held, choice: int) -> bytes:
        self.closed.add(choice)
        kept = self.writer.cut(head.event, choice, _checked(head.spans, choice))
        return kept + self.writer.refuse(choice, self.refusal(self.checks.blocked[choice]))


def _checked(spans: list[Span], choice: int) -> Mapping[Channel, int]:
    """How many characters of each channel of a choice were checked, in one event."""
    kept: dict[Channel, int] = {}
    for span in spans:
        if span.key[0] == choice:
            kept[span.key[1]] = kept.get(span.key[1], 0) + span.end - span.start - span.unchecked
    return kept
