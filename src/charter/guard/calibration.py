"""Setting a guard's thresholds on a user's own traffic, within a budget of refusals.

Owns dividing the budget between the stages, scoring the traffic as the server would, and writing
the thresholds down. The promise itself is `conformal`'s. An exchange is refused if its prompt or
its answer is, so the budgets of the stages add up to no more than the whole (union bound).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from charter.errors import InputError, StoreError, boundary
from charter.guard import guard_file
from charter.guard.conformal import Threshold, needed, threshold, upper_bound
from charter.guard.decision import Classifier, Thresholds
from charter.guard.evaluation import scores, stage_of
from charter.guard.labelled import TestFile
from charter.records import Record
from charter.statistics import Rate, wilson

Progress = Callable[[int, int], None]


class Calibration(Record, frozen=True):
    """Thresholds and their promises."""

    thresholds: Thresholds
    budget: float
    confidence: float | None
    prompt: Threshold
    answer: Threshold | None
    """None where the traffic has no answers: their threshold stays as it was."""
    total: Rate
    """Share of the exchanges refused at either stage."""
    total_upper: float
    """95 % upper bound (Clopper-Pearson) of the true share."""
    n: int
    unscored: dict[str, int]


def calibrate(
    classifier: Classifier,
    before: Thresholds,
    window: int,
    benign: TestFile,
    *,
    budget: float,
    confidence: float | None = None,
    prompt_share: float = 0.5,
    progress: Progress | None = None,
) -> Calibration:
    """Thresholds that keep refusals of harmless traffic within the budget.

    Args:
        classifier: the guard's.
        before: its thresholds so far.
        window: characters scored at a time.
        benign: harmless exchanges, drawn like the traffic to come.
        budget: share of them that may be refused, over both stages.
        confidence: of the promise; in expectation if not given.
        prompt_share: the prompt stage's part of the budget, where there are answers as well.
        progress: called with how many rows are scored, and of how many.

    Raises:
        InputError: the rows are too few for the budget; says how many are needed.
    """
    answered = stage_of(benign.rows) == "answer"
    shares = (budget * prompt_share, budget * (1 - prompt_share)) if answered else (budget, 0.0)
    _enough(len(benign.rows), min(s for s in shares if s), budget, confidence, answered)
    prompt_N = scores(classifier, benign.rows, "prompt", window, progress)
    prompt = threshold(prompt_N, shares[0], confidence)
    refused_N, answer = prompt_N >= prompt.value, None
    chosen = replace(before, prompt=prompt.value)
    if answered:
        answer_N = scores(classifier, benign.rows, "answer", window, progress)
        answer = threshold(answer_N, shares[1], confidence)
        refused_N |= answer_N >= answer.value
        chosen = replace(chosen, answer=answer.value)
    count, n = int(np.sum(refused_N)), len(benign.rows)
    return Calibration(
        chosen, budget, confidence, prompt, answer, wilson(count, n), upper_bound(count, n), n,
        dict(benign.unscored),
    )  # fmt: skip


def keep(folder: Path, found: Calibration, window: int, *, copy: Path | None = None) -> Path:
    """Write the thresholds, and what stands behind them, into a guard's folder, or a copy of it.

    Returns:
        the folder that was written.

    Raises:
        InputError: the copy's folder is there already.
    """
    if copy is not None:
        if copy.exists():
            raise InputError(f"{str(copy)!r} exists", field="--out", expected="a new folder")
        with boundary(StoreError, f"copying {folder}", catch=(OSError, shutil.Error)):
            shutil.copytree(folder, copy)
    folder = copy or folder
    changes = {"thresholds": found.thresholds, "window": window, "calibration": found}
    guard_file.update(folder, changes)
    return folder


def _enough(n: int, share: float, budget: float, confidence: float | None, answered: bool) -> None:
    """Say how many rows are needed before hours are spent on scoring too few."""
    least = needed(share, confidence)
    if n < least:
        stages = " divided between prompts and answers" if answered else ""
        raise InputError(
            f"{n} harmless rows are too few for a refusal budget of {budget:.3%}{stages}",
            field="--benign",
            expected=f"at least {least}",
        )
