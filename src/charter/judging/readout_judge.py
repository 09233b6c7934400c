"""The readout judge: a trained linear readout over a model's hidden states.

A principle is read too: its comparison question is pooled by the same model, and a second readout
turns it into coefficients over the axes. So the verdict moves with the principle, and a principle
that nobody trained on still gets coefficients. Position cannot matter, since each answer is scored
by itself.

Shape suffixes: N answers, K axes, E features of a question.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from charter.readout.features import FeatureReader
from charter.readout.linear import LinearReadout
from charter.records import Abstention, Comparison, Message

QUESTION_WEIGHTS, QUESTION_BIAS = "question_weights", "question_bias"


class ReadoutJudge:
    """Satisfies `records.Judge`.

    Args:
        reader: reads the model that the readout was trained on.
        readout: axes over answers; `extra` holds the readout over questions.
        questions: comparison question of every principle, by principle id.
        temperature: divides logits; fitted on labelled pairs.
    """

    def __init__(
        self,
        reader: FeatureReader,
        readout: LinearReadout,
        questions: Mapping[str, str],
        *,
        temperature: float = 1.0,
    ) -> None:
        self.reader, self.readout, self.temperature = reader, readout, temperature
        self._coefficients = dict(zip(questions, self._read(list(questions.values())), strict=True))

    @cached_property
    def identity(self) -> str:
        """Name, calibration and digest."""
        calibrated = "" if self.temperature == 1.0 else f"/T={self.temperature:g}"
        # The digest stands last, where a scorer that is the same readout is told by it.
        return f"readout-judge{calibrated}@{self.readout.identity}"

    def coefficients(self, principle: str) -> dict[str, float]:
        """How much each axis counts under a principle; what the judge makes of its wording."""
        values = self._coefficients[principle]
        return dict(zip(self.readout.card.axes, map(float, values), strict=True))

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        """See `records.Judge`."""
        usable = [i for i, c in enumerate(comparisons) if c.a.strip() and c.b.strip()]
        exchanges = [
            (comparisons[i].prompt.messages, text)
            for i in usable
            for text in (comparisons[i].a, comparisons[i].b)
        ]
        logits_NK = (
            self.readout.apply(self.reader.read(exchanges)) if exchanges else np.empty((0, 0))
        )
        votes: list[list[float | Abstention]] = [
            [Abstention(c.id, "empty_answer", self.identity) for _ in ids]
            for c, ids in zip(comparisons, principles, strict=True)
        ]
        for place, i in enumerate(usable):
            gap_K = logits_NK[2 * place] - logits_NK[2 * place + 1]
            votes[i] = [self._p_first(gap_K, principle) for principle in principles[i]]
        return votes

    def _p_first(self, gap_K: np.ndarray, principle: str) -> float:
        logit = float(self._coefficients[principle] @ gap_K) / self.temperature
        return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, logit))))

    def _read(self, questions: list[str]) -> np.ndarray:
        """Coefficients [n, K] of comparison questions."""
        features_NE = question_features(self.reader, questions)
        extra = self.readout.extra
        return np.asarray(features_NE @ extra[QUESTION_WEIGHTS].T + extra[QUESTION_BIAS])


def question_features(reader: FeatureReader, questions: Sequence[str]) -> np.ndarray:
    """Features [n, F] of questions, each pooled as if it were an answer to a fixed request."""
    context = (Message("user", "State the question."),)
    return reader.read([(context, question) for question in questions])
