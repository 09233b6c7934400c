"""How often a scorer is right on answers that people labelled, beside a bag of words.

Owns the figures. Several answers to one prompt are not independent, so the intervals of shares are
those of clusters. The bag of words has an advantage: it learned from other prompts of the same
file, which the scorer may never have seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from charter.evaluate.labelled import LabelledAnswer, LabelledFile
from charter.readout.baseline import crossed_labels
from charter.records import Prompt, Record, Scored, Scorer
from charter.statistics import Rate
from charter.statistics.clusters import clustered_rate
from charter.statistics.roc import auroc

Progress = Callable[[str, int, int | None], None]
STAGE = "scorer test"
ENOUGH = 50
"""Answers from which on a bag of words is worth training."""
_AT_ONCE = 64


class Figures(Record, frozen=True):
    """Accuracy at the threshold, and ranking; each with its 95 % interval."""

    accuracy: Rate
    auroc: Rate
    sensitivity: Rate
    """Share of the positive answers that the scorer says yes to."""
    specificity: Rate
    """Share of the others that it says no to."""


class Examination(Record, frozen=True):
    """The result. The first five fields are a contract with other programs."""

    accuracy: Rate
    auroc: Rate
    sensitivity: Rate
    specificity: Rate
    n: int
    """Answers that were scored."""
    unscored: int
    unscored_reasons: dict[str, int]
    dropped: dict[str, int]
    prompts: int
    threshold: float
    scorer: str
    labels: dict[str, int]
    positive: tuple[str, ...]
    bag_of_words: Figures | None
    """Cross-validated on the same answers by prompt; None under 50 answers or 5 prompts."""


def examine(
    scorer: Scorer,
    file: LabelledFile,
    *,
    threshold: float = 0.5,
    progress: Progress | None = None,
) -> Examination:
    """Score labelled answers and compare.

    Args:
        scorer: its reading is higher where it says yes.
        file: the answers.
        threshold: of the reading from which it says yes.
        progress: told how many answers are scored.

    Raises:
        InputError: of the answers that could be scored, all are on one side.
    """
    readings = _readings(scorer, file.answers, progress)
    scored = [(a, s.value) for a, s in zip(file.answers, readings, strict=True)]
    kept = [(answer, value) for answer, value in scored if value is not None]
    answers, labels = [a for a, _ in kept], np.array([a.positive for a, _ in kept], dtype=int)
    prompts = [_prompt(a.prompt) for a in answers]
    found = figures(np.array([v for _, v in kept]), labels, prompts, threshold=threshold)
    words = None
    if len(kept) >= ENOUGH and len(set(prompts)) >= 5:
        logits = crossed_labels([a.text for a in answers], labels, prompts)
        words = figures(logits, labels, prompts, threshold=0.0)
    reasons = Counter(s.reason or "unscored" for s in readings if s.value is None)
    return Examination(
        found.accuracy,
        found.auroc,
        found.sensitivity,
        found.specificity,
        n=len(kept),
        unscored=len(scored) - len(kept),
        unscored_reasons=dict(reasons),
        dropped=dict(file.dropped),
        prompts=len(set(prompts)),
        threshold=threshold,
        scorer=scorer.identity,
        labels=dict(file.labels),
        positive=file.positive,
        bag_of_words=words,
    )


def figures(
    readings: np.ndarray, labels: np.ndarray, prompts: Sequence[str], *, threshold: float
) -> Figures:
    """Figures of readings [N] against labels [N] of 1 or 0.

    Args:
        readings: finite.
        labels: 1 or 0, both present.
        prompts: [N], which answers go together.
        threshold: of a reading that says yes.
    """
    yes, truth, groups = readings >= threshold, labels.astype(bool), np.asarray(prompts)
    area = auroc(readings, labels)  # first: it says so if there is but one side

    def share(outcomes: np.ndarray, of: np.ndarray) -> Rate:
        return clustered_rate(outcomes[of], groups[of]).rate

    everything = np.ones(len(truth), dtype=bool)
    return Figures(share(yes == truth, everything), area, share(yes, truth), share(~yes, ~truth))


def lines(found: Examination) -> list[tuple[str, Rate, Rate | None]]:
    """Rows of a table: name, the scorer's figure, the bag of words'."""
    names = Figures.__struct_fields__
    words: Mapping[str, Rate] = (
        {name: getattr(found.bag_of_words, name) for name in names} if found.bag_of_words else {}
    )
    return [(name, getattr(found, name), words.get(name)) for name in names]


def _readings(
    scorer: Scorer, answers: Sequence[LabelledAnswer], progress: Progress | None
) -> list[Scored]:
    found: list[Scored] = []
    for start in range(0, len(answers), _AT_ONCE):
        part = answers[start : start + _AT_ONCE]
        found += scorer.score([(answer.prompt, answer.text) for answer in part])
        if progress is not None:
            progress(STAGE, len(found), len(answers))
    return found


def _prompt(prompt: Prompt) -> str:
    return prompt.messages[-1].content if prompt.messages else ""
