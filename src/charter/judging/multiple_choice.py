"""The multiple-choice judge: log-probabilities of the letters A and B (Bai et al. 2022, §4.1).

The prompt is laid out conversation first, then both answers, then the principle, so that all
principles of a comparison share one pass over everything before them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from charter.prompts.templates import render, templates_digest
from charter.records import Abstention, ChoiceModel, Comparison, Message

_TEMPLATES = ("choice_comparison", "choice_question")
_OPTIONS = ("A", "B")


class MultipleChoiceJudge:
    """Satisfies `records.Judge`.

    Args:
        model: gives likelihoods of the options.
        questions: comparison question of every principle, by principle id.
        temperature: divides the difference of log-probabilities; fitted on labelled pairs.
        min_mass: probability that A and B must have together; below it the model was answering
            something else, and the judge abstains (`off_menu`).
    """

    def __init__(
        self,
        model: ChoiceModel,
        questions: Mapping[str, str],
        *,
        temperature: float = 1.0,
        min_mass: float = 0.05,
    ) -> None:
        self.model, self.questions = model, questions
        self.temperature, self.min_mass = temperature, min_mass

    @property
    def identity(self) -> str:
        """Name, model, templates and calibration."""
        calibrated = "" if self.temperature == 1.0 else f"/T={self.temperature:g}"
        digest = templates_digest(*_TEMPLATES)
        return f"multiple-choice@{self.model.identity}/{digest}{calibrated}"

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        """See `records.Judge`."""
        return [self._vote(c, ids) for c, ids in zip(comparisons, principles, strict=True)]

    def _vote(self, comparison: Comparison, ids: Sequence[str]) -> list[float | Abstention]:
        talk = render(
            "choice_comparison",
            conversation=_transcript(comparison.prompt.messages),
            a=comparison.a,
            b=comparison.b,
        )
        asked = [render("choice_question", question=self.questions[id]) for id in ids]
        rows = self.model.choice_logprobs([Message("user", talk)], asked, _OPTIONS)
        return [self._p_first(comparison.id, first, second) for first, second in rows]

    def _p_first(self, id: str, first: float, second: float) -> float | Abstention:
        mass = math.exp(first) + math.exp(second)
        if mass < self.min_mass:
            detail = f"P(A)+P(B) = {mass:.4f}"
            return Abstention(id, "off_menu", self.identity, detail)
        return 1.0 / (1.0 + math.exp((second - first) / self.temperature))


def _transcript(messages: Sequence[Message]) -> str:
    names = {"user": "User", "assistant": "Assistant", "system": "System"}
    return "\n".join(f"{names[m.role]}: {m.content}" for m in messages)
