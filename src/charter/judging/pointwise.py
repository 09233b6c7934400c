"""Yes or no, for each answer by itself: does it follow the principle?

The logit is log P(Yes) - log P(No); the difference of two answers' logits is a pairwise judge
(`answerwise`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from charter.judging.answerwise import Exchange
from charter.judging.asking import Question, ask
from charter.judging.menu import Unread, answer_shown
from charter.prompts.templates import render, templates_digest
from charter.records import ChoiceModel, digest

OPTIONS = ("Yes", "No")
_FLOOR = 1e-12
"""Keeps the logit finite where a word has no likelihood at all."""
_TEMPLATES = ("answer_shown", "pointwise_question")


class YesNoReader:
    """Satisfies `judging.answerwise.AnswerReader`.

    Args:
        model: gives likelihoods of the two words.
        principles: text of every principle, by id.
        min_mass: probability that the words must have together.
    """

    def __init__(
        self, model: ChoiceModel, principles: Mapping[str, str], *, min_mass: float = 0.05
    ) -> None:
        self.model, self.principles, self.min_mass = model, principles, min_mass

    @property
    def identity(self) -> str:
        """Name, model, and a digest of templates and settings."""
        settings = digest([templates_digest(*_TEMPLATES), self.min_mass])
        return f"pointwise@{self.model.identity}/{settings}"

    def read(
        self, exchanges: Sequence[Exchange], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Unread]]:
        """See `AnswerReader`; logits of following the principle."""
        questions = [
            Question(
                answer_shown(exchange),
                [render("pointwise_question", principle=self.principles[id]) for id in ids],
            )
            for exchange, ids in zip(exchanges, principles, strict=True)
        ]
        found = ask(self.model, questions, OPTIONS, min_mass=self.min_mass)
        return [[p if isinstance(p, Unread) else _logit(p) for p in row] for row in found]


def _logit(shares: Sequence[float]) -> float:
    yes, no = (max(share, _FLOOR) for share in shares)
    return math.log(yes / no)
