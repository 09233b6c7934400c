"""The guard without a server: check an exchange, or stream an answer through it.

Owns: a small interface for programs that have the text at hand. Same windows, same thresholds, same
verdicts as the server.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from dataclasses import dataclass, field

from charter.guard import loading
from charter.guard.checking import TextCheck
from charter.guard.config import GuardSettings
from charter.guard.decision import Classifier, Decision
from charter.records import Message, Record


class Exchange(Record, frozen=True):
    """A conversation and what was answered, whole or as far as it has come."""

    messages: tuple[Message, ...]
    answer: str = ""


class Blocked(Exception):  # noqa: N818  — not an error: it ends a stream with a verdict
    """The rest of a streamed answer is blocked. `decision` says why."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(f"blocked at score {decision.score:.3f}")
        self.decision = decision


@dataclass(frozen=True, slots=True)
class Guard:
    """A classifier with its thresholds.

    Classifiers run in the caller's thread: `stream` gives way between chunks, not within one.
    """

    classifier: Classifier
    settings: GuardSettings = field(default_factory=GuardSettings)

    @classmethod
    def load(cls, guard: str) -> Guard:
        """The guard in a folder, or `default`. Raises `InputError` if there is none."""
        found = loading.load(guard)
        window = found.window or GuardSettings().window
        return cls(found.classifier, GuardSettings(window=window, thresholds=found.thresholds))

    def check(self, exchange: Exchange) -> Decision:
        """The most severe decision on the conversation and on the answer."""
        decision, text = self._start(exchange.messages)
        if decision.action == "block":
            return decision
        text.push(exchange.answer)
        text.settle()
        if text.top is None or text.top.action == "allow":
            return decision
        return text.top

    async def stream(
        self, messages: Sequence[Message], chunks: AsyncIterable[str]
    ) -> AsyncGenerator[str, None]:
        """The chunks' text as far as it was checked.

        Raises:
            Blocked: the conversation, or the answer from here on, is blocked.
        """
        decision, text = self._start(messages)
        if decision.action == "block":
            raise Blocked(decision)
        held, left = "", 0
        async for chunk in chunks:
            text.push(chunk)
            held += chunk
            ready, held = held[: text.checked - left], held[text.checked - left :]
            left = text.checked
            if ready:
                yield ready
            self._stop_at(text)
        text.settle()
        if text.checked > left:
            yield held[: text.checked - left]
        self._stop_at(text)

    def _start(self, messages: Sequence[Message]) -> tuple[Decision, TextCheck]:
        stream, thresholds = self.classifier.start(messages), self.settings.thresholds
        score = stream.conversation_score
        decision = thresholds.decide("prompt", score, stream.clauses)
        return decision, TextCheck(stream, self.settings.window, thresholds)

    def _stop_at(self, text: TextCheck) -> None:
        if text.stopped and text.top is not None:
            raise Blocked(text.top)
