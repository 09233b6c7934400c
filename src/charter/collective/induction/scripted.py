"""The judge that needs no model: it votes by what a candidate counts in the two answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from charter.collective.induction.candidates import Feature
from charter.records import Abstention, Comparison, digest


class ScriptedJudge:
    """Satisfies `records.Judge`: 1 and 0 where the answers differ, ½ where they do not.

    Args:
        testers: for each candidate's id its feature, and 1 or -1 for the direction.
    """

    def __init__(self, testers: Mapping[str, tuple[Feature, int]]) -> None:
        self._testers = dict(testers)

    @property
    def identity(self) -> str:
        """Name, and a digest of what it counts."""
        counted = {id: (feature.id, sign) for id, (feature, sign) in self._testers.items()}
        return f"scripted@{digest(counted)}"

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        """See `records.Judge`."""
        return [
            [self._p_first(comparison, id) for id in ids]
            for comparison, ids in zip(comparisons, principles, strict=True)
        ]

    def _p_first(self, comparison: Comparison, id: str) -> float:
        feature, sign = self._testers[id]
        return (1 + sign * vote(feature, comparison)) / 2


def vote(feature: Feature, comparison: Comparison) -> int:
    """What a feature says of a pair: 1 if A has more of it, -1 if B has, 0 if neither."""
    return feature.vote(question(comparison), comparison.a, comparison.b)


def question(comparison: Comparison) -> str:
    """The last turn of the user."""
    messages = comparison.prompt.messages
    return messages[-1].content if messages else ""
