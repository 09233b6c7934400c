"""The groups under way between an input and an output that must keep its order.

Owns which groups may be handed out, holding back outcomes that came before their turn, and what is
to be handed out again when workers were lost. It holds no more than `size` groups, whatever the
length of the input: a slow group stops the reading, and that is the engine's back-pressure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any


class Window:
    """Groups by number, counted from 0 in the order of the input.

    Args:
        groups: read as they are handed out.
        size: groups that may be handed out and not yet given back in order.
    """

    def __init__(self, groups: Iterable[list[Any]], size: int) -> None:
        self._source, self.size = iter(groups), size
        self._open: dict[int, list[Any]] = {}
        self._ready: dict[int, Sequence[Any]] = {}
        self._next = self.returned = 0
        self._exhausted = False

    @property
    def exhausted(self) -> bool:
        """Whether the input has been read to its end."""
        return self._exhausted

    @property
    def finished(self) -> bool:
        """Whether every group of the input has been given back."""
        return self._exhausted and not self._open

    def draw(self) -> Iterator[tuple[int, list[Any]]]:
        """New groups to be worked on, as many as there is room for."""
        while not self._exhausted and self._next - self.returned < self.size:
            group = next(self._source, None)
            if group is None:
                self._exhausted = True
                return
            self._open[self._next] = group
            self._next += 1
            yield self._next - 1, group

    def unanswered(self) -> list[tuple[int, list[Any]]]:
        """Groups that were handed out and have no outcome."""
        return [(number, g) for number, g in self._open.items() if number not in self._ready]

    def accept(
        self, number: int, outcomes: Sequence[Any]
    ) -> Iterator[tuple[list[Any], Sequence[Any]]]:
        """Take the outcomes of one group; give back all groups whose turn it now is.

        An outcome that came before, of a worker that was thought lost, is not taken again.
        """
        if number in self._open:
            self._ready.setdefault(number, outcomes)
        while self.returned in self._ready:
            turn, self.returned = self.returned, self.returned + 1
            yield self._open.pop(turn), self._ready.pop(turn)
