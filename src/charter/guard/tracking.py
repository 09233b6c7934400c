"""A text that grows, read by a model as it grows: only tokens that are new are computed.

Owns the key/value cache of one text, and cutting a text into pieces whose tokens stay as they are
when more text comes. Knows no heads: what is kept of a token's hidden states is the caller's
`project`, so a long text costs a few numbers a token, and its cache.

What is computed depends on the text alone, not on the portions it came in. Where a new portion
changes the last tokens (half a word becomes a whole one), these are computed again.

Shape suffixes: T tokens, K numbers kept of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from charter.models.generation import GrowingCache
from charter.models.hf import HFModel

Project = Callable[[tuple[torch.Tensor, ...]], torch.Tensor]
"""From hidden states of all layers, each [1, T, D], to what is kept of them [T, K]."""
PIECE = 256
"""Characters of a piece; see `GrowingText`."""


class GrowingText:
    """Token ids of a text that grows; what is older than a piece is never encoded again.

    Piece k ends before the last white space among the first k * PIECE characters, or right there.
    So the ids depend on the text alone.

    Args:
        encode: from text to ids.
    """

    def __init__(self, encode: Callable[[str], list[int]]) -> None:
        self._encode, self._fixed = encode, list[int]()
        self._pieces = self._start = 0
        self._tail = ""

    def extend(self, text: str) -> list[int]:
        """Ids of everything so far."""
        self._tail += text
        while self._start + len(self._tail) >= (self._pieces + 1) * PIECE:
            self._fix()
        return [*self._fixed, *(self._encode(self._tail) if self._tail else ())]

    def _fix(self) -> None:
        """Put the first piece of the tail with what stays."""
        end = (self._pieces + 1) * PIECE - self._start
        cut = max(self._tail.rfind(" ", 1, end), self._tail.rfind("\n", 1, end))
        cut = cut if cut > 0 else end
        self._fixed += self._encode(self._tail[:cut])
        self._tail = self._tail[cut:]
        self._pieces, self._start = self._pieces + 1, self._start + cut


class Track:
    """Numbers of each token of a text, computed once.

    Longer texts than `room` are read in overlapping stretches: each begins with the text's first
    token and `room / 2` tokens of what came before it.

    Args:
        model: the model that reads.
        project: what is kept.
        room: most tokens that are read in one go, and so held in the cache.
    """

    def __init__(self, model: HFModel, project: Project, *, room: int = 1024) -> None:
        assert room >= 4, room
        self.model, self.project, self.room = model, project, room
        self.ids: list[int] = []
        self.computed = 0
        """Tokens that went through the model so far."""
        self._rows: list[np.ndarray] = []
        self._cache, self._begin = GrowingCache(), 0

    @property
    def values(self) -> np.ndarray:
        """What was kept, float32 [T, K]."""
        assert self._rows, "a text without tokens has no values"
        return np.stack(self._rows)

    def set(self, ids: Sequence[int]) -> None:
        """Make the text be these tokens; those that it had already are not computed again."""
        same = 0
        for old, new in zip(self.ids, ids, strict=False):
            if old != new:
                break
            same += 1
        self._drop(same)
        while len(self.ids) < len(ids):
            begin, end = self._stretch(len(self.ids))
            self._enter(begin, ids)
            fresh = ids[len(self.ids) : end]
            self._rows += list(self._run(fresh))
            self.ids += fresh

    def _stretch(self, place: int) -> tuple[int, int]:
        """The stretch that computes this token: where its context begins, and where it ends."""
        if place < self.room:
            return 0, self.room
        half = self.room // 2
        number = (place - self.room) // half
        return self.room + (number - 1) * half, self.room + (number + 1) * half

    def _drop(self, kept: int) -> None:
        removed = len(self.ids) - kept
        if removed:
            within = kept > self._begin and self._stretch(kept)[0] == self._begin
            if within:
                self._cache.crop(-removed)
            else:
                self._begin = -1  # no stretch: the next one is read from its beginning
            del self.ids[kept:], self._rows[kept:]

    def _enter(self, begin: int, ids: Sequence[int]) -> None:
        """Have the stretch's context in the cache."""
        if begin == self._begin:
            return
        self._cache, self._begin = GrowingCache(), begin
        context = list(ids[begin : len(self.ids)])
        if begin:
            context = [ids[0], *context]
        if context:
            self._run(context)

    @torch.inference_mode()
    def _run(self, ids: Sequence[int]) -> np.ndarray:
        device, start = self.model.device, self._cache.get_seq_length()
        inputs = torch.tensor([list(ids)], device=device)
        states = self.model.backbone()(
            input_ids=inputs,
            position_ids=torch.arange(start, start + len(ids), device=device)[None],
            past_key_values=self._cache,
            use_cache=True,
            output_hidden_states=True,
        ).hidden_states
        self.computed += len(ids)
        kept: np.ndarray = self.project(states).float().cpu().numpy()
        return kept
