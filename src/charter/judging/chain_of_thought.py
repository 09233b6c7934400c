"""The chain-of-thought judge: a rationale first, then the options (Bai et al. 2022, §4.1).

A model that has just argued for an answer is very sure of it, so its probabilities are clamped;
the paper found 40-60 % to work best, and soft labels to need no clamping without a rationale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Protocol

from charter.judging.asking import Question, ask
from charter.judging.menu import FORMATS, FormatName, Unread, examples, shown
from charter.judging.reading import Outcome, Reading, plain
from charter.prompts.templates import render, templates_digest
from charter.records import (
    Abstention,
    ChoiceModel,
    Comparison,
    Completion,
    Message,
    Model,
    Request,
    Sampling,
    digest,
)
from charter.seeds import derive

BAI_CLAMP = (0.4, 0.6)


class ReasoningModel(Model, ChoiceModel, Protocol):
    """A model that writes and that gives likelihoods."""


class ChainOfThoughtJudge:
    """Satisfies `judging.reading.DetailedJudge`.

    Args:
        model: writes the rationale, then gives likelihoods of the options.
        questions: comparison question of every principle, by principle id.
        format, shots, min_mass: as for `MultipleChoiceJudge`.
        clamp: range into which each reading is cut; None for none.
        rationale: how the rationale is sampled; Lee et al. 2023 decode greedily (§3.1).
        seed: of the rationales.
    """

    def __init__(
        self,
        model: ReasoningModel,
        questions: Mapping[str, str],
        *,
        format: FormatName = "letters",
        shots: int = 0,
        clamp: tuple[float, float] | None = BAI_CLAMP,
        rationale: Sampling | None = None,
        min_mass: float = 0.05,
        seed: int = 0,
    ) -> None:
        self.model, self.questions, self.clamp, self.seed = model, questions, clamp, seed
        self.format, self.examples = FORMATS[format], examples(FORMATS[format], shots)
        self.rationale = rationale or Sampling(max_tokens=128, temperature=0.0)
        self.min_mass = min_mass

    @property
    def identity(self) -> str:
        """Name, model, and a digest of templates, examples and settings."""
        asked = templates_digest("reasoning_question", "reasoning_verdict")
        settings = [
            self.format, self.format.digest, asked, self.examples, self.clamp, self.rationale,
            self.min_mass, self.seed,
        ]  # fmt: skip
        return f"chain-of-thought@{self.model.identity}/{digest(settings)}"

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        """See `records.Judge`."""
        return plain(self.read(comparisons, principles))

    def read(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[Outcome]]:
        """As `vote`; rationales of all comparisons are written together."""
        asked = [(c, id) for c, ids in zip(comparisons, principles, strict=True) for id in ids]
        written = self.model.generate([self._request(c, id) for c, id in asked])
        questions = [self._question(c, id, w) for (c, id), w in zip(asked, written, strict=True)]
        found = ask(self.model, questions, self.format.options, min_mass=self.min_mass)
        outcomes = (
            self._outcome(c, w, row) for (c, _), w, row in zip(asked, written, found, strict=True)
        )
        return [list(islice(outcomes, len(ids))) for ids in principles]

    def _request(self, comparison: Comparison, principle: str) -> Request:
        # The texts are part of the seed: the two orders of a comparison reason independently.
        parts = ("rationale", comparison.id, principle, comparison.a, comparison.b)
        seed = derive(self.seed, *parts)
        return Request(self._opening(comparison, principle), self.rationale, seed)

    def _opening(self, comparison: Comparison, principle: str) -> tuple[Message, ...]:
        asked = render("reasoning_question", question=self.questions[principle])
        return (*self.examples, Message("user", shown(self.format, comparison) + asked))

    def _question(self, comparison: Comparison, principle: str, written: Completion) -> Question:
        """Asks for the verdict after the rationale; nothing, if there is no rationale."""
        talk = [
            *self._opening(comparison, principle),
            Message("assistant", written.text.strip()),
            Message("user", render("reasoning_verdict")),
        ]
        asked = render(self.format.question, question=self.questions[principle])
        return Question(talk, [asked] if written.text.strip() else [])

    def _outcome(
        self, comparison: Comparison, written: Completion, row: Sequence[list[float] | Unread]
    ) -> Outcome:
        found = row[0] if row else Unread(written.failure or "empty_rationale")
        if isinstance(found, Unread):
            return Abstention(comparison.id, found.reason, self.identity, found.detail)
        return Reading(self._clamped(found[0]), tokens=written.tokens)

    def _clamped(self, p: float) -> float:
        return p if self.clamp is None else min(self.clamp[1], max(self.clamp[0], p))
