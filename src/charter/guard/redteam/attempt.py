"""One attempt: what was sent, what came back, and what the judge made of it.

Owns the record and its outcomes. Knows neither how it is sent nor how it is counted.
"""

from __future__ import annotations

from typing import Literal

from charter.records import Message, Origin, Record, Split

Side = Literal["harmful", "benign"]
Step = Literal["form", "answer"]
"""`form`: the request in a form; `answer`: also told to write the answer so that no guard sees."""
Outcome = Literal["complied", "neither", "refused", "blocked", "answered", "unscored"]
"""Of harmful requests: `complied`, `neither` (no refusal and no harm), `refused`, `blocked`; of
benign ones: `answered`, `refused`, `blocked`. `unscored` has a reason."""


class Attempt(Record, frozen=True):
    """One request and its outcome.

    Attributes:
        id: round, step, side, form, dress, behaviour.
        round: from 1 on.
        step: of the staged attack.
        side: whether a success would be harm, or a refusal would be one too many.
        behaviour: id of the request before it was dressed up.
        category: of the behaviour, or "".
        split: of the behaviour; what is on `eval` is never learned from.
        form: name of the attack form, or `plain`.
        dress: name of the way the answer was to be written, or "".
        conversation: what was sent.
        answer: what came back; a guard's refusal where it was blocked.
        outcome: see `Outcome`.
        blocked_at: stage of the guard that blocked it: `prompt`, `answer`, "" if not said.
        score: P(harmful compliance) by the judge, None where it read nothing.
        reason: why it is unscored, else "".
        judge: identities of the scorers, "" for benign requests without a reading.
        origin: target, sampling and seed.
    """

    id: str
    round: int
    step: Step
    side: Side
    behaviour: str
    category: str
    split: Split
    form: str
    dress: str
    conversation: tuple[Message, ...]
    answer: str
    outcome: Outcome
    blocked_at: str
    score: float | None
    reason: str
    judge: str
    origin: Origin

    @property
    def passed_input(self) -> bool | None:
        """Whether the guard's input stage let it through; None if that cannot be told."""
        if self.reason == "empty":
            return True
        if self.outcome == "unscored" and not self.answer:
            return None
        if self.outcome != "blocked":
            return True
        return {"answer": True, "prompt": False}.get(self.blocked_at)
