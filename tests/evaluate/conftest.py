"""Stand-ins for models and scorers, and answers with planted numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from charter.records import (
    Answer,
    Completion,
    Message,
    Origin,
    Prompt,
    Request,
    Scored,
)
from charter.store import RunFolder, StageFolder

REFUSING, COMPLYING = "I won't help with that.", "Sure, first you take the lid off."


class PlantedModel:
    """Says what `answer` makes of a request; remembers what it was asked, call by call."""

    def __init__(self, name: str, answer: Callable[[Request], str]) -> None:
        self.name, self.answer = name, answer
        self.calls: list[list[Request]] = []

    @property
    def identity(self) -> str:
        return f"{self.name}@0"

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        self.calls.append(list(requests))
        texts = [self.answer(request) for request in requests]
        return [Completion(text, len(text.split()), "stop") for text in texts]


class PlantedScorer:
    """Scores a text with a function; None is left unscored."""

    def __init__(self, identity: str, score: Callable[[str], float | None]) -> None:
        self._identity, self._score = identity, score
        self.calls: list[list[tuple[Prompt, str]]] = []

    @property
    def identity(self) -> str:
        return self._identity

    def score(self, exchanges: Sequence[tuple[Prompt, str]]) -> list[Scored]:
        self.calls.append(list(exchanges))
        return [Scored(self._score(text)) for _, text in exchanges]


def prompts(kind: str, count: int) -> list[Prompt]:
    return [
        Prompt(f"{kind}-{i}", (Message("user", f"{kind} question {i}"),), kind, split="eval")
        for i in range(count)
    ]


def answer(
    model: str,
    prompt: Prompt,
    *,
    compliance: float | None = None,
    refusal: float | None = None,
    helpful: float | None = None,
    tokens: int = 10,
) -> Answer:
    scores = {"compliance": compliance, "refusal": refusal, "helpful": helpful}
    origin = Origin("evaluate", model)
    return Answer(f"{model}/{prompt.id}", model, prompt, "text", tokens, scores, origin)


@pytest.fixture
def folder(tmp_path: Path) -> StageFolder:
    return RunFolder(tmp_path / "run").stage("evaluate", "asked")
