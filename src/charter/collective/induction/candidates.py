"""What may become a principle: a candidate with its wordings, and features that measure answers.

A feature gives every answer a number, so that it can vote on a pair without any language model. It
has two wordings, since either direction may be what people prefer. A candidate is one direction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from charter.records import Record

Family = Literal["trait", "contrast", "word", "model"]
Measure = Callable[[str, str], float]
"""Question and answer → a number."""


class Wording(Record, frozen=True):
    """How one direction is put.

    Attributes:
        title: a few words.
        text: the principle, one sentence.
        question: asks a judge for the better answer.
    """

    title: str
    text: str
    question: str


@dataclass(frozen=True, slots=True)
class Feature:
    """A number for an answer.

    Attributes:
        id: unique among the features of one induction.
        family: where it comes from.
        measure: of a question and its answer.
        more: wording if a higher number is better.
        less: wording if a lower one is.
        margin: relative difference up to which two answers count as equal.
    """

    id: str
    family: Family
    measure: Measure
    more: Wording
    less: Wording
    margin: float = 0.0

    def vote(self, question: str, a: str, b: str) -> int:
        """1 if A has more of it, -1 if B has, 0 if they are equal."""
        one, other = self.measure(question, a), self.measure(question, b)
        if abs(one - other) <= self.margin * max(abs(one), abs(other)):
            return 0
        return 1 if one > other else -1


class Candidate(Record, frozen=True):
    """A principle to be tested.

    Attributes:
        id: as in the ballots and, if chosen, in the document.
        wording: what a person and a judge read.
        family: where it comes from; a draw between two candidates goes by it.
        alike: titles of candidates that it stands for, since they say or vote the same.
        shown: how many pairs it was proposed for, or differ in it; more goes first.
    """

    id: str
    wording: Wording
    family: Family
    alike: tuple[str, ...] = ()
    shown: int = 0
