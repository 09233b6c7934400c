"""The numbers of an evaluation, laid out so that models can be compared prompt by prompt.

Owns turning a stream of `Answer`s into arrays; keeps the numbers, lets go of the texts. Knows no
metric.

Shape suffixes: M models, P prompts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from charter.evaluate.config import SCORERS
from charter.records import Answer

TOKENS = "tokens"
_COLUMNS = (*SCORERS, TOKENS)


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """Readings of every model on every prompt.

    Attributes:
        models: names, in the order in which their answers came.
        kinds_P: kind of every prompt.
        columns: for each of `SCORERS` and `tokens`, readings [M, P]; nan where there is none.
    """

    models: tuple[str, ...]
    kinds_P: np.ndarray
    columns: dict[str, np.ndarray]

    def readings(self, column: str, *kinds: str) -> np.ndarray:
        """Readings [M, P'] on the prompts of these kinds, on all prompts if none is named."""
        chosen = np.isin(self.kinds_P, kinds) if kinds else np.ones(len(self.kinds_P), dtype=bool)
        return self.columns[column][:, chosen]


def tabulate(answers: Iterable[Answer]) -> ScoreTable:
    """Read answers, in any order, into a table."""
    models: dict[str, int] = {}
    prompts: dict[str, int] = {}
    kinds: list[str] = []
    cells: dict[tuple[int, int], tuple[float | None, ...]] = {}
    for answer in answers:
        row = models.setdefault(answer.model, len(models))
        place = prompts.setdefault(answer.prompt.id, len(prompts))
        if place == len(kinds):
            kinds.append(answer.prompt.kind)
        readings = (answer.scores.get(name) for name in SCORERS)
        cells[row, place] = (*readings, float(answer.tokens))
    block = np.full((len(_COLUMNS), len(models), len(prompts)), np.nan)
    for (row, place), values in cells.items():
        block[:, row, place] = [np.nan if value is None else value for value in values]
    columns = dict(zip(_COLUMNS, block, strict=True))
    return ScoreTable(tuple(models), np.array(kinds, dtype=str), columns)
