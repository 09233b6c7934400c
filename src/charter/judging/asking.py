"""Asking a model for likelihoods of options, about many things.

Owns what every judge that asks so has in common: a call that failed is a reason and not a number,
and a model that takes several calls at a time gets them.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from charter.errors import CallFailed
from charter.judging.menu import Unread, shares
from charter.records import ChoiceModel, Message


@dataclass(frozen=True, slots=True)
class Question:
    """A conversation, and the endings under which the options are read."""

    prefix: Sequence[Message]
    suffixes: Sequence[str]


def ask(
    model: ChoiceModel, questions: Sequence[Question], options: Sequence[str], *, min_mass: float
) -> list[list[list[float] | Unread]]:
    """Shares of the options for every suffix of every question, or why there are none.

    Args:
        model: asked once a question; so many at a time as its `concurrency` says, if it has one.
        questions: in any number; one without suffixes costs nothing.
        options: the menu.
        min_mass: see `menu.shares`.
    """

    def one(question: Question) -> list[list[float] | Unread]:
        if not question.suffixes:
            return []
        try:
            rows = model.choice_logprobs(question.prefix, question.suffixes, options)
        except CallFailed as failure:
            return [Unread(failure.reason, failure.detail) for _ in question.suffixes]
        return [shares(row, options, min_mass=min_mass) for row in rows]

    workers = min(len(questions), int(getattr(model, "concurrency", 1)))
    if workers <= 1:
        return [one(question) for question in questions]
    pool = ThreadPoolExecutor(workers)
    try:
        return list(pool.map(one, questions))
    finally:
        # After an error that ends the run, questions that wait are not paid for.
        pool.shutdown(cancel_futures=True)
