"""A preference model that answers for one principle: the principle's text stands in the prompt.

Owns how a prompt names its principle, for those who train such a model and those who ask it.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from charter.prompts.templates import render
from charter.records import Message, Prompt, Scored, Scorer, digest


class UnderPrinciple:
    """A preference model that is asked about one principle. Satisfies `records.Scorer`.

    Args:
        scorer: trained with `PreferenceConfig.principles`.
        principle: text of the principle.
    """

    def __init__(self, scorer: Scorer, principle: str) -> None:
        self.scorer, self.principle = scorer, principle

    @property
    def identity(self) -> str:
        """The scorer's, and a digest of the principle."""
        return f"{self.scorer.identity}+principle@{digest(self.principle, length=12)}"

    def score(self, exchanges: Sequence[tuple[Prompt, str]]) -> list[Scored]:
        """See `records.Scorer`."""
        return self.scorer.score([(under(p, self.principle), text) for p, text in exchanges])


def under(prompt: Prompt, principle: str) -> Prompt:
    """The prompt with a principle behind its last message."""
    *before, last = prompt.messages
    asked = render("preference_principle", request=last.content, principle=principle)
    return replace(prompt, messages=(*before, Message(last.role, asked)))
