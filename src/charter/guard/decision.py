"""What a classifier owes the guard, and what the guard makes of its scores.

Owns: the `Classifier` and `Stream` protocols, thresholds, `Decision`. Knows no HTTP and no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from charter.errors import ModelError
from charter.records import Message, Record

Action = Literal["allow", "block", "escalate"]
Stage = Literal["prompt", "answer"]


class Decision(Record, frozen=True):
    """What to do with a text, the score that says so, and the clauses it goes against."""

    action: Action
    score: float
    clauses: tuple[str, ...] = ()


class Stream(Protocol):
    """One answer being scored as it grows. State belongs to one answer and is never shared."""

    @property
    def conversation_score(self) -> float:
        """Score in [0, 1] of the conversation before any answer."""

    @property
    def clauses(self) -> Sequence[str]:
        """Clause ids behind the latest score; empty where the classifier cannot tell."""

    def feed(self, text: str) -> float:
        """Running score in [0, 1] after more of the answer."""


class Classifier(Protocol):
    """Starts a `Stream` for each answer.

    A classifier whose `feed` takes microseconds may set an attribute `quick = True`: it is then
    called on the server's own thread, which saves a hand-over per chunk.
    """

    @property
    def identity(self) -> str:
        """Name and revision, as written into audit records."""

    def start(self, conversation: Sequence[Message]) -> Stream:
        """A fresh stream for an answer to this conversation."""


class Thresholds(Record, frozen=True):
    """Scores from which on a text is blocked, by stage; and from which on it is escalated."""

    prompt: float = 0.5
    answer: float = 0.5
    escalate: float | None = None
    """Between this and the block threshold the action is `escalate`: let through, and counted."""

    def decide(self, stage: Stage, score: float, clauses: Sequence[str]) -> Decision:
        """The decision on a score.

        Raises:
            ModelError: the score is no number in [0, 1]. That is a failure of the classifier, and
                must not pass for "harmless".
        """
        if not 0.0 <= score <= 1.0:
            raise ModelError(f"the classifier gave the score {score!r}, not a number in [0, 1]")
        if score >= (self.prompt if stage == "prompt" else self.answer):
            return Decision("block", score, tuple(clauses))
        if self.escalate is not None and score >= self.escalate:
            return Decision("escalate", score, tuple(clauses))
        return Decision("allow", score)
