"""Drawing principles: which clauses are in question for a prompt, and which one a step uses."""

from __future__ import annotations

from collections.abc import Collection
from random import Random

from charter.constitution.document import Constitution, Principle

GENERAL = "general"
"""Tag of principles that fit any prompt."""


def relevant(constitution: Constitution, category: str) -> list[Principle]:
    """Principles that a harmful category cites, with the general ones; all if neither exists."""
    cited = {id for c in constitution.categories.harmful if c.id == category for id in c.principles}
    fitting = [p for p in constitution.principles if p.id in cited or GENERAL in p.tags]
    return fitting or list(constitution.principles)


def tagged(constitution: Constitution, tags: Collection[str]) -> list[Principle]:
    """Principles that carry one of the tags; all if none does."""
    fitting = [p for p in constitution.principles if set(tags) & set(p.tags)]
    return fitting or list(constitution.principles)


def draw(pool: list[Principle], source: Random) -> Principle:
    """One principle, in proportion to weight."""
    return source.choices(pool, weights=[p.weight for p in pool])[0]
