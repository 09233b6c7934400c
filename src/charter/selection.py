"""Which prompts a run uses, and for what.

Owns choosing from the sources that a recipe names; reading them is `prompts.sets`.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from charter.errors import DataError
from charter.prompts import sets
from charter.recipe import Recipe
from charter.records import Prompt
from charter.seeds import derive


class Prompts:
    """The prompts of a run, chosen from their sources by a hash, so that order does not matter.

    Raises:
        DataError: a source cannot be read, or has no prompt of a kind the recipe asks for.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.wanted, self.seed = recipe.prompts, recipe.seed
        self.too_long: set[str] = set()
        wanted = self.wanted
        self.critique = self._choose("redteam", "train", wanted.critique_redteam)
        self.sft = [
            *self._choose("benign", "train", wanted.sft_benign),
            *self._choose("borderline", "train", wanted.sft_borderline),
        ]
        self.pairs = [
            *self._choose("redteam", "train", wanted.pairs_redteam, salt="pairs"),
            *self._choose("benign", "train", wanted.pairs_benign, salt="pairs"),
        ]
        self.evaluate = [
            *self._choose("redteam", "eval", wanted.eval_redteam),
            *self._choose("benign", "eval", wanted.eval_benign),
            *self._choose("borderline", "eval", wanted.eval_borderline),
        ]
        for chosen in (self.sft, self.pairs, self.evaluate):
            _require_distinct(chosen)

    def _choose(self, kind: str, split: str, count: int, *, salt: str = "") -> list[Prompt]:
        """The `count` prompts with the smallest hash: a fixed random choice, in flat memory."""
        if count == 0:
            return []
        source = getattr(self.wanted, kind)
        fitting = (
            p
            for p in sets.load(source, kind)
            if p.kind == kind and p.split == split and self._short_enough(p)
        )
        # The same text has the same hash: twice as many are kept, so that doubles can go.
        nearest = heapq.nsmallest(2 * count, fitting, key=lambda p: self._rank(p, salt))
        chosen = list({p.id: p for p in nearest}.values())[:count]
        if not chosen:
            raise DataError(f"no {kind} prompts for the {split} split", file=source)
        return chosen

    def _short_enough(self, prompt: Prompt) -> bool:
        if sum(len(m.content) for m in prompt.messages) <= self.wanted.max_chars:
            return True
        self.too_long.add(prompt.id)
        return False

    def _rank(self, prompt: Prompt, salt: str) -> tuple[int, str]:
        return derive(self.seed, salt, prompt.id), prompt.id


def _require_distinct(prompts: Sequence[Prompt]) -> None:
    """Records are told apart by their prompts' ids, and files may bring ids of their own."""
    kinds: dict[str, str] = {}
    for prompt in prompts:
        other = kinds.setdefault(prompt.id, prompt.kind)
        if other != prompt.kind:
            raise DataError(
                f"prompt id {prompt.id!r} stands for a {other} and for a {prompt.kind} prompt",
                expected="distinct ids, or none: they are then made from the text",
            )
