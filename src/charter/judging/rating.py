"""Ratings from 1 to 10, as an expectation over the likelihoods of the ten numbers.

Direct RLAIF (Lee et al. 2023, §3.2.2): s = sum of i * P(i), rescaled to [-1, 1], is the reward.
The difference of two ratings is a pairwise judge as well (`answerwise`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from charter.judging.answerwise import Exchange, read_answers
from charter.judging.asking import Question, ask
from charter.judging.menu import Unread, answer_shown
from charter.prompts.templates import render, templates_digest
from charter.records import ChoiceModel, Prompt, Scored, digest

SCALE = tuple(str(grade) for grade in range(1, 11))
_TEMPLATES = ("answer_shown", "rating_question")


class Rater:
    """Satisfies `judging.answerwise.AnswerReader`; gives ratings in [-1, 1].

    Args:
        model: gives likelihoods of "1" to "10". It must tell "10" from "1" (see
            `records.ChoiceModel`); where both come back with one number there is no rating.
        principles: text of every principle, by id.
        min_mass: probability that the ten numbers must have together.
    """

    def __init__(
        self, model: ChoiceModel, principles: Mapping[str, str], *, min_mass: float = 0.05
    ) -> None:
        self.model, self.principles, self.min_mass = model, principles, min_mass

    @property
    def identity(self) -> str:
        """Name, model, and a digest of templates and settings."""
        settings = digest([templates_digest(*_TEMPLATES), self.min_mass])
        return f"rating@{self.model.identity}/{settings}"

    def read(
        self, exchanges: Sequence[Exchange], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Unread]]:
        """See `AnswerReader`; ratings in [-1, 1]."""
        questions = [
            Question(
                answer_shown(exchange),
                [render("rating_question", principle=self.principles[id]) for id in ids],
            )
            for exchange, ids in zip(exchanges, principles, strict=True)
        ]
        found = ask(self.model, questions, SCALE, min_mass=self.min_mass)
        return [[p if isinstance(p, Unread) else _rating(p) for p in row] for row in found]


class RatingScorer:
    """Satisfies `records.Scorer`: a reward without a preference model.

    Args:
        rater: rates an answer under one principle.
        principles: (id, weight) pairs; the score is the weighted mean of those that were rated.
    """

    def __init__(self, rater: Rater, principles: Sequence[tuple[str, float]]) -> None:
        assert principles and all(weight > 0 for _, weight in principles)
        self.rater, self.principles = rater, tuple(principles)

    @property
    def identity(self) -> str:
        """The rater's, with the principles in question."""
        return f"{self.rater.identity}+{digest(self.principles, length=8)}"

    def score(self, exchanges: Sequence[tuple[Prompt, str]]) -> list[Scored]:
        """One rating in [-1, 1] an exchange, or the reason there is none."""
        ids = [id for id, _ in self.principles]
        asked = [(prompt.messages, answer) for prompt, answer in exchanges]
        found = read_answers(self.rater, asked, [ids for _ in asked])
        return [self._score(row) for row in found]

    def _score(self, found: Sequence[float | Unread]) -> Scored:
        rated = [
            (x, weight)
            for x, (_, weight) in zip(found, self.principles, strict=True)
            if not isinstance(x, Unread)
        ]
        if not rated:
            return Scored(None, next(x.reason for x in found if isinstance(x, Unread)))
        return Scored(sum(x * w for x, w in rated) / sum(w for _, w in rated))


def rescaled(grade: float) -> float:
    """From [1, 10] to [-1, 1]."""
    return (grade - 5.5) / 4.5


def _rating(shares: Sequence[float]) -> float:
    return rescaled(sum(p * grade for grade, p in enumerate(shares, start=1)))
