"""Scripted stand-ins for models, and comparisons with a planted better answer."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Sequence

from charter.records import Comparison, Completion, Message, Origin, Prompt, Request

QUESTIONS = {"kind": "Which answer is kinder?", "unkind": "Which answer is less kind?"}
TEXTS = {"kind": "Be kind.", "unkind": "Be unkind."}
ORIGIN = Origin("pairs", "test")
_FIRST = re.compile(
    r"(?:Answer A: |\(A\) |Response 1 - )(.*?)\n\n?(?:Answer B: |\(B\) |Response 2)", re.S
)


def comparison(id: str, a: str, b: str, ask: str = "hello") -> Comparison:
    return Comparison(id, Prompt(f"prompt-{id}", (Message("user", ask),)), a, b, ORIGIN)


def planted(count: int = 40) -> tuple[list[Comparison], list[bool]]:
    """Comparisons whose better answer has the word good in it, on a random side."""
    source = random.Random(0)
    sides = [source.random() < 0.5 for _ in range(count)]
    texts = [("good", "bad") if first else ("bad", "good") for first in sides]
    return [comparison(f"c{i}", *pair) for i, pair in enumerate(texts)], sides


def good_first(text: str) -> bool:
    """Whether the good answer is the one that is shown first; the last pair shown counts."""
    return "good" in _FIRST.findall(text)[-1]


class Chooser:
    """A `ChoiceModel` and `Model`: `choose` gives shares of the options, `write` gives text."""

    identity = "scripted@1"

    def __init__(
        self,
        choose: Callable[[str, str], Sequence[float]],
        write: Callable[[Request], str | Completion] = lambda _: "Because.",
    ) -> None:
        self.choose, self.write = choose, write
        self.prefixes: list[list[Message]] = []
        self.options: list[tuple[str, ...]] = []
        self.requests: list[Request] = []

    def choice_logprobs(
        self, prefix: Sequence[Message], suffixes: Sequence[str], options: Sequence[str]
    ) -> list[list[float]]:
        self.prefixes.append(list(prefix))
        self.options.append(tuple(options))
        text = "\n".join(m.content for m in prefix)
        rows = [self.choose(text, suffix) for suffix in suffixes]
        return [[math.log(p) if p else -math.inf for p in row] for row in rows]

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        self.requests += requests
        made = [self.write(request) for request in requests]
        return [m if isinstance(m, Completion) else Completion(m, 7, "stop") for m in made]


def prefers_good(text: str, suffix: str) -> tuple[float, float]:
    """Nine to one for the good answer, the other way round where less kind is asked for."""
    return (0.9, 0.1) if good_first(text) != ("less kind" in suffix) else (0.1, 0.9)
