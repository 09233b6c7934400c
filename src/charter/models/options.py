"""How likely each of a few texts is as the beginning of an answer, from next-token likelihoods.

Owns the case that first tokens do not settle: "(A)" and "(B)" both begin with "(", and "1" is the
beginning of "10". Knows token ids only.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

Tokens = tuple[int, ...]


class Options:
    """Options as token ids, and the beginnings after which the next token must be known.

    Args:
        options: token ids of every option; none empty, all distinct.
    """

    def __init__(self, options: Sequence[Sequence[int]]) -> None:
        self.options: list[Tokens] = [tuple(option) for option in options]
        assert all(self.options) and len(set(self.options)) == len(self.options)
        self._shared = Counter(o[:n] for o in self.options for n in range(1, len(o) + 1))

    @property
    def stems(self) -> list[Tokens]:
        """Beginnings whose next-token log-probabilities `score` needs; often just the empty one."""
        needed = [option[:n] for option in self.options for n in range(self._depth(option))]
        # A shorter option that others extend: how they go on is subtracted from it.
        needed += [option for option in self.options if self._shared[option] > 1]
        return list(dict.fromkeys(needed))

    def following(self, stem: Sequence[int]) -> list[int]:
        """Tokens whose log-probability after one of the `stems` is needed by `score`."""
        place, begun = len(stem), tuple(stem)
        return sorted({o[place] for o in self.options if o[:place] == begun != o})

    def score(self, after: Mapping[Tokens, Any]) -> list[float]:
        """Log-probability of every option.

        Args:
            after: for each stem, log-probabilities of the next token, indexed by token id.
        """
        return [self._score(option, after) for option in self.options]

    def _score(self, option: Tokens, after: Mapping[Tokens, Any]) -> float:
        path = sum(float(after[option[:n]][option[n]]) for n in range(self._depth(option)))
        if self._shared[option] == 1:
            return path
        longer = {o[len(option)] for o in self.options if o[: len(option)] == option != o}
        taken = math.fsum(math.exp(float(after[option][token])) for token in longer)
        return path + math.log1p(-taken) if taken < 1 else -math.inf

    def _depth(self, option: Tokens) -> int:
        """Tokens it takes to tell an option from the others, or all of them."""
        alone = (n for n in range(1, len(option)) if self._shared[option[:n]] == 1)
        return next(alone, len(option))
