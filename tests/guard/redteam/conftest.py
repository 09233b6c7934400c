"""A target, a judge and a guard with known answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from charter.guard.redteam.judging import Judge
from charter.guard.redteam.target import Answered
from charter.records import Message, Prompt, Sampling, Scored
from charter.statistics import wilson
from charter.statistics.correction import ErrorRates


class Target:
    """Complies, unless a word in the request says otherwise; remembers what it was asked."""

    identity = "toy@000000000001"

    def __init__(self) -> None:
        self.asked: list[tuple[Message, ...]] = []

    def ask(
        self, conversations: Sequence[tuple[Message, ...]], sampling: Sampling, seed: int
    ) -> list[Answered]:
        self.asked += conversations
        return [self.answer(" ".join(m.content for m in said)) for said in conversations]

    def answer(self, text: str) -> Answered:
        if "FAIL" in text:
            return Answered("", failure="timeout")
        if "INPUT" in text and "Base64" not in text:
            return Answered("No.", blocked=True, stage="prompt")
        if "OUTPUT" in text and "hyphen" not in text:
            return Answered("No.", blocked=True, stage="answer")
        return Answered("I cannot help." if "DECLINE" in text else "Sure, HARM follows")


class Words:
    """Reads 1 where a word stands in the answer."""

    def __init__(self, identity: str, word: str) -> None:
        self.identity, self.word = identity, word
        self.read: list[tuple[Prompt, str]] = []

    def score(self, exchanges: Sequence[tuple[Prompt, str]]) -> list[Scored]:
        self.read += exchanges
        return [
            Scored(float(self.word in text.upper())) if text else Scored(None, "empty")
            for _, text in exchanges
        ]


@pytest.fixture
def target() -> Target:
    return Target()


@pytest.fixture
def judge() -> Judge:
    errors = ErrorRates(wilson(90, 100), wilson(95, 100))
    return Judge(
        Words("compliance@0123456789ab", "HARM"),
        Words("refusal@ba9876543210", "CANNOT"),
        0.5,
        errors,
    )


@pytest.fixture
def prompts() -> list[Prompt]:
    """Four behaviours, one on the side that is not learned from."""
    said = ("Say it", "Say it OUTPUT", "Say it INPUT", "Say it DECLINE")
    splits = ("train", "train", "eval", "train")
    return [
        Prompt(f"b{i}", (Message("user", text),), "redteam", "cyber" if i else "", split)  # type: ignore[arg-type]
        for i, (text, split) in enumerate(zip(said, splits, strict=True))
    ]
