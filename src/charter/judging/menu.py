"""What a judge that chooses from a menu is shown, and how likelihoods of its options are read.

Owns the formats (which templates, which options), the few-shot examples, and the rule by which a
model that was answering something else has not answered. A prompt is laid out conversation first,
then both answers, then the principle, so that all principles of a comparison share one pass over
everything before them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Literal

from charter.prompts.shots import judged_shots
from charter.prompts.templates import render, templates_digest
from charter.records import Comparison, Message, Record

FormatName = Literal["letters", "bai", "lee"]


class Unread(Record, frozen=True):
    """Why there is no reading: reason and detail of the abstention to come."""

    reason: str
    detail: str = ""


class Format(Record, frozen=True):
    """A way to ask which of two answers is better."""

    name: FormatName
    comparison: str
    """Template of the conversation and both answers."""
    question: str
    """Template of the question, which is put last."""
    options: tuple[str, str]
    """What stands for the first and for the second answer."""

    @property
    def digest(self) -> str:
        """Digest of its templates."""
        return templates_digest(self.comparison, self.question)


FORMATS: dict[FormatName, Format] = {
    f.name: f
    for f in (
        Format("letters", "choice_comparison", "choice_question", ("A", "B")),
        # Bai et al. 2022, §4.1: options "(A)" and "(B)", "The answer is:".
        Format("bai", "choice_bai_comparison", "choice_bai_question", ("(A)", "(B)")),
        # Lee et al. 2023, §3.1: numbered answers, "Preferred …=".
        Format("lee", "choice_lee_comparison", "choice_lee_question", ("1", "2")),
    )
}


def shown(format: Format, comparison: Comparison) -> str:
    """A comparison as text."""
    return render(
        format.comparison,
        conversation=transcript(comparison.prompt.messages),
        a=comparison.a,
        b=comparison.b,
    )


def answer_shown(exchange: tuple[Sequence[Message], str]) -> list[Message]:
    """A conversation and one answer to it, as the text that opens a question."""
    messages, answer = exchange
    text = render("answer_shown", conversation=transcript(messages), answer=answer)
    return [Message("user", text)]


def examples(format: Format, count: int) -> list[Message]:
    """`count` answered examples, each a turn of the user's and one of the assistant's."""
    turns: list[Message] = []
    for shot in judged_shots()[:count]:
        asked = render(format.comparison, conversation=f"User: {shot.request}", a=shot.a, b=shot.b)
        asked += render(format.question, question=shot.question)
        answer = format.options[shot.better == "b"]
        turns += [Message("user", asked), Message("assistant", answer)]
    return turns


def transcript(messages: Sequence[Message]) -> str:
    """A conversation as text, one line of speech after the other."""
    names = {"user": "User", "assistant": "Assistant", "system": "System"}
    return "\n".join(f"{names[m.role]}: {m.content}" for m in messages)


def shares(
    logprobs: Sequence[float], options: Sequence[str], *, min_mass: float
) -> list[float] | Unread:
    """Probabilities of options, normalised over the menu.

    Args:
        logprobs: of each option, not normalised.
        options: their texts.
        min_mass: probability that the options must have together; below it the model was
            answering something else.
    """
    if any(math.isnan(value) or value == math.inf for value in logprobs):
        return Unread("no_logprobs", f"{list(logprobs)}")
    masses = [math.exp(value) for value in logprobs]
    if not sum(masses) or sum(masses) < min_mass:
        return Unread("off_menu", f"P({' or '.join(options)}) = {sum(masses):.4f}")
    alike = _indistinct(logprobs, options)
    if alike:
        return Unread("indistinct_options", f"{alike} have one likelihood: first tokens only?")
    return [mass / sum(masses) for mass in masses]


def _indistinct(logprobs: Sequence[float], options: Sequence[str]) -> str:
    """Options that begin alike and were given the same number: their beginning was scored."""
    for (one, x), (other, y) in combinations(zip(options, logprobs, strict=True), 2):
        if one[0] == other[0] and x == y != -math.inf:
            return f"{one!r} and {other!r}"
    return ""
