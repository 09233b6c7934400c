"""What a fresh guard reaches on rows held out, and its first thresholds from them.

Owns turning rows of guard data into tests of both stages. A user's own traffic gives better
thresholds: see `calibration`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

from charter.guard import conformal
from charter.guard.decision import Stage, Thresholds
from charter.guard.evaluation import evaluated, scores
from charter.guard.examples import GuardExample, Label
from charter.guard.forms.catalogue import PLAIN
from charter.guard.labelled import TestFile, TestRow
from charter.guard.token_classifier import TokenClassifier
from charter.guard.training_rows import TrainingRows
from charter.seeds import derive

BUDGET = 0.005
"""Share of harmless rows in plain dress that the first thresholds may refuse at each stage."""
_NOT_KEPT = ("roc", "guard")
_MOST = 1200
"""Rows of each label: enough for the budget, and answers are scored window by window."""


def thresholds_and_figures(
    classifier: TokenClassifier, rows: TrainingRows, window: int
) -> tuple[Thresholds, dict[str, Any]]:
    """First thresholds, and figures by stage where both labels were held out."""
    thresholds, figures = Thresholds(), dict[str, Any]()
    stages: tuple[tuple[Stage, Sequence[GuardExample]], ...] = (
        ("prompt", rows.prompts_held_out),
        ("answer", rows.answers_held_out),
    )
    for stage, examples in stages:
        harmful, harmless = as_tests(examples, "harmful"), as_tests(examples, "harmless")
        if not (harmful.rows and harmless.rows):
            continue
        scores_N = scores(classifier, [*harmful.rows, *harmless.rows], stage, window)
        first = _threshold(_ordinary(scores_N[len(harmful.rows) :], harmless))
        thresholds = replace(thresholds, **{stage: first})
        found = evaluated(
            classifier.identity, scores_N, thresholds, harmful, harmless, baselines=classifier.words
        )
        figures[stage] = {k: v for k, v in found.as_json().items() if k not in _NOT_KEPT}
    return thresholds, figures


def as_tests(rows: Sequence[GuardExample], label: Label) -> TestFile:
    """Rows of one label, to be scored; of many, some, whatever order they stand in."""
    chosen = sorted((r for r in rows if r.label == label), key=lambda r: derive("held out", r.id))
    return TestFile(
        [
            TestRow(row.conversation, row.answer, {"category": row.category, "form": row.form})
            for row in chosen[:_MOST]
        ]
    )


def _ordinary(harmless_N: np.ndarray, harmless: TestFile) -> np.ndarray:
    """Scores of rows in plain dress, if there are any: what the budget is a promise about.

    A harmless request in an attack form is for the figures by form; ordinary traffic has few.
    """
    plain = np.array([row.group["form"] == PLAIN for row in harmless.rows])
    return harmless_N[plain] if plain.any() else harmless_N


def _threshold(harmless_N: np.ndarray) -> float:
    """Within the usual budget, or the smallest that so few rows can promise."""
    smallest = 1.001 / (len(harmless_N) + 1)
    return conformal.threshold(harmless_N, min(max(BUDGET, smallest), 0.999)).value
