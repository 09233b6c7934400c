"""The voting judge: verdicts sampled as text, for endpoints that give no log-probabilities.

The share of samples that name the first answer, smoothed (Laplace): (n_A + 1) / (n + 2). Which
verdict a text gives is decided by its last statement of one: before that stands a draft, or a
quotation of an answer that tries to grade itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from charter.judging.menu import FORMATS, examples, shown
from charter.judging.reading import Outcome, Reading, plain
from charter.prompts.templates import render, templates_digest
from charter.records import (
    Abstention,
    Comparison,
    Completion,
    Message,
    Model,
    Request,
    Sampling,
    digest,
)
from charter.seeds import derive

_STATED = re.compile(
    r"\bverdict\b[\s*_:\"']*(?:is[\s*_:\"']+)?\(?([AB])\b(?!\s+or\b)", re.IGNORECASE
)
_BARE = re.compile(r"[\s*_(\"']*([AB])[\s*_).\"']*")
_FORMAT = FORMATS["letters"]


class VotesJudge:
    """Satisfies `judging.reading.DetailedJudge`.

    Args:
        model: any model that gives text.
        questions: comparison question of every principle, by principle id.
        samples: verdicts asked for in each order.
        sampling: how; at temperature 0 all samples are the same.
        shots: answered examples in front.
        seed: of the samples.
    """

    def __init__(
        self,
        model: Model,
        questions: Mapping[str, str],
        *,
        samples: int = 5,
        sampling: Sampling | None = None,
        shots: int = 0,
        seed: int = 0,
    ) -> None:
        self.model, self.questions, self.samples, self.seed = model, questions, samples, seed
        self.sampling = sampling or Sampling(max_tokens=160, temperature=1.0)
        self.examples = [
            Message(m.role, f"Verdict: {m.content}") if m.role == "assistant" else m
            for m in examples(_FORMAT, shots)
        ]

    @property
    def identity(self) -> str:
        """Name, model, and a digest of templates, examples and settings."""
        asked = templates_digest(_FORMAT.comparison, "votes_question")
        settings = [asked, self.examples, self.samples, self.sampling, self.seed]
        return f"votes@{self.model.identity}/{digest(settings)}"

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        """See `records.Judge`."""
        return plain(self.read(comparisons, principles))

    def read(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[Outcome]]:
        """As `vote`; all samples of all comparisons are asked for together."""
        asked = [(c, id) for c, ids in zip(comparisons, principles, strict=True) for id in ids]
        requests = [self._request(c, id, n) for c, id in asked for n in range(self.samples)]
        made = iter(self.model.generate(requests))
        return [
            [self._share(c, [next(made) for _ in range(self.samples)]) for _ in ids]
            for c, ids in zip(comparisons, principles, strict=True)
        ]

    def _request(self, comparison: Comparison, principle: str, number: int) -> Request:
        talk = shown(_FORMAT, comparison)
        talk += render("votes_question", question=self.questions[principle])
        parts = ("vote", comparison.id, principle, comparison.a, comparison.b, number)
        return Request(
            (*self.examples, Message("user", talk)), self.sampling, derive(self.seed, *parts)
        )

    def _share(self, comparison: Comparison, made: Sequence[Completion]) -> Outcome:
        letters = [letter for letter in map(verdict_of, made) if letter]
        unread = len(made) - len(letters)
        if 2 * len(letters) <= len(made):
            failures = Counter(m.failure for m in made if m.failure)
            # An endpoint that is down is not a model that would not choose.
            reason = failures.most_common(1)[0][0] if 2 * failures.total() > unread else "off_menu"
            detail = f"{unread} of {len(made)} samples name no answer"
            return Abstention(comparison.id, reason, self.identity, detail)
        p = (letters.count("A") + 1) / (len(letters) + 2)
        return Reading(p, tokens=sum(m.tokens for m in made), unread=unread)


def verdict_of(completion: Completion) -> Literal["A", "B", ""]:
    """The letter that a text ends up with, or "" if it names none.

    A text that was cut short has no end: what it says last may be a draft.
    """
    if completion.finish != "stop":
        return ""
    _, _, final = completion.text.rpartition("</think>")
    if "<think>" in final:
        return ""
    stated = _STATED.findall(final)
    if not stated:
        bare = _BARE.fullmatch(final)
        stated = [bare.group(1)] if bare else []
    return _letter(stated[-1]) if stated else ""


def _letter(text: str) -> Literal["A", "B"]:
    return "A" if text.upper() == "A" else "B"
