"""Which principles judge a comparison, and what each counts.

Owns the four ways of an ensemble: one principle drawn a comparison (Bai et al. 2022, §4.1), all,
all by weight, or those of the prompt's own category. Knows no judge.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from charter.constitution.document import Constitution, Principle
from charter.constitution.drawing import GENERAL, draw, tagged
from charter.constitution.priorities import before
from charter.records import Comparison, Prompt
from charter.seeds import draws

Mode = Literal["one", "all", "weighted", "tag"]
_SEED_NAME = "feedback"


class Ensemble:
    """Draws the principles of a comparison from those that fit its kind of prompt.

    Args:
        constitution: where they come from.
        mode: `one`, drawn by weight; `all`, each counting the same; `weighted`, each by its
            weight; `tag`, by weight, only those that are tagged with the prompt's category or
            cited by it, or else those tagged `general`, or else all.
        harmful_tags: of principles that judge answers to red-team prompts.
        harmless_tags: of principles that judge answers to every other prompt.
        seed: of the draw.
    """

    def __init__(
        self,
        constitution: Constitution,
        mode: Mode,
        *,
        harmful_tags: Collection[str],
        harmless_tags: Collection[str],
        seed: int = 0,
    ) -> None:
        self.mode, self.seed = mode, seed
        self.harmful = tagged(constitution, harmful_tags)
        self.harmless = tagged(constitution, harmless_tags)
        self.before = before(constitution)
        halves = constitution.categories
        self.cited = {c.id: frozenset(c.principles) for c in (*halves.harmful, *halves.harmless)}

    def draw(self, comparison: Comparison) -> list[tuple[str, float]]:
        """(principle id, weight) pairs; the same whatever is labelled beside the comparison."""
        fitting = self.harmful if comparison.prompt.kind == "redteam" else self.harmless
        if self.mode == "one":
            return [(draw(fitting, draws(self.seed, _SEED_NAME, comparison.id)).id, 1.0)]
        if self.mode == "all":
            return [(p.id, 1.0) for p in fitting]
        if self.mode == "tag":
            fitting = self._of_category(fitting, comparison.prompt)
        return [(p.id, p.weight) for p in fitting]

    def _of_category(self, fitting: list[Principle], prompt: Prompt) -> list[Principle]:
        cited = self.cited.get(prompt.category, frozenset())
        own = [p for p in fitting if p.id in cited or prompt.category in p.tags]
        return own or [p for p in fitting if GENERAL in p.tags] or fitting
