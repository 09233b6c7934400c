"""The multiple-choice judge: log-probabilities of two options (Bai et al. 2022, §4.1)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from charter.judging.asking import Question, ask
from charter.judging.menu import FORMATS, FormatName, Unread, examples, shown
from charter.prompts.templates import render
from charter.records import Abstention, ChoiceModel, Comparison, Message, digest


class MultipleChoiceJudge:
    """Satisfies `records.Judge`.

    Args:
        model: gives likelihoods of the options.
        questions: comparison question of every principle, by principle id.
        format: `letters` (A or B), `bai` ("(A)" or "(B)"), or `lee` (1 or 2).
        shots: answered examples that stand in front, as turns of the conversation.
        temperature: divides the difference of log-probabilities; fitted on labelled pairs.
        min_mass: probability that the options must have together; below it the model was
            answering something else, and the judge abstains (`off_menu`).
    """

    def __init__(
        self,
        model: ChoiceModel,
        questions: Mapping[str, str],
        *,
        format: FormatName = "letters",
        shots: int = 0,
        temperature: float = 1.0,
        min_mass: float = 0.05,
    ) -> None:
        self.model, self.questions = model, questions
        self.format, self.examples = FORMATS[format], examples(FORMATS[format], shots)
        self.temperature, self.min_mass = temperature, min_mass

    @property
    def identity(self) -> str:
        """Name, model, and a digest of templates, examples and settings."""
        settings = [self.format, self.format.digest, self.examples, self.temperature, self.min_mass]
        return f"multiple-choice@{self.model.identity}/{digest(settings)}"

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        """See `records.Judge`."""
        questions = [self._question(c, ids) for c, ids in zip(comparisons, principles, strict=True)]
        rows = ask(self.model, questions, self.format.options, min_mass=self.min_mass)
        return [
            [self._p_first(comparison.id, found) for found in row]
            for comparison, row in zip(comparisons, rows, strict=True)
        ]

    def _question(self, comparison: Comparison, ids: Sequence[str]) -> Question:
        talk = [*self.examples, Message("user", shown(self.format, comparison))]
        asked = [render(self.format.question, question=self.questions[id]) for id in ids]
        return Question(talk, asked)

    def _p_first(self, id: str, found: list[float] | Unread) -> float | Abstention:
        if isinstance(found, Unread):
            return Abstention(id, found.reason, self.identity, found.detail)
        return tempered(found[0], self.temperature)


def tempered(p: float, temperature: float) -> float:
    """A probability with its log-odds divided by a temperature."""
    if temperature == 1.0 or p in (0.0, 1.0):
        return p
    return 1.0 / (1.0 + math.exp(-math.log(p / (1.0 - p)) / temperature))
