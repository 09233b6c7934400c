"""Which votes give way where clauses contradict each other and the document says who goes first.

Owns that rule alone: a clear vote gives way to a clear one for the other answer, of a clause that
goes before it. It keeps its reading and loses its weight, so a record shows who was overruled.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from charter.constitution.priorities import CLEAR, Before
from charter.records import PrincipleVote

NONE: Before = {}


def settled(votes: Sequence[PrincipleVote], before: Before) -> tuple[PrincipleVote, ...]:
    """The same votes; weight 0 for those that give way.

    Args:
        votes: of one comparison, weighted by the document.
        before: see `constitution.priorities.before`; it must be closed, as that is.
    """
    if not before or len(votes) < 2:
        return tuple(votes)
    # Highest first: a clause that has given way itself overrules nobody. What a clause goes
    # before, it goes before through others too, so the one with more below it stands higher.
    order = sorted(votes, key=lambda v: -len(before.get(v.principle, ())))
    standing: list[PrincipleVote] = []
    out: set[str] = set()
    for vote in order:
        if any(_overrules(other, vote, before) for other in standing):
            out.add(vote.principle)
        else:
            standing.append(vote)
    return tuple(replace(v, weight=0.0) if v.principle in out else v for v in votes)


def _overrules(one: PrincipleVote, other: PrincipleVote, before: Before) -> bool:
    if other.principle not in before.get(one.principle, ()):
        return False
    x, y = one.p_a - 0.5, other.p_a - 0.5
    return min(abs(x), abs(y)) >= CLEAR and x * y < 0
