"""How well a guard tells harmful from harmless, with intervals, beside a bag of words.

Owns scoring rows through the same windows as the server, and the figures. Prompts are judged by
the conversation's score, answers by the highest score of their windows. Knows no files of its own
and no models: any `Classifier` will do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import roc_curve

from charter.guard.checking import TextCheck
from charter.guard.decision import Classifier, Stage, Thresholds
from charter.guard.labelled import TestFile, TestRow, groups
from charter.guard.readable import readable
from charter.readout.words import WordsHead
from charter.records import Record
from charter.statistics import Rate, wilson
from charter.statistics.roc import auprc, auroc, recall_at_fpr

RATES = (0.001, 0.005, 0.01)
_POINTS = 100
_AT_ONCE = 256
Progress = Callable[[int, int], None]


class Group(Record, frozen=True):
    """One category or attack form, against all harmless rows."""

    n: int
    auroc: Rate
    recall_at_fpr: dict[str, Rate]
    recall: Rate
    """At the guard's threshold."""


class Figures(Record, frozen=True):
    """What one classifier reaches on some rows."""

    auroc: Rate
    auprc: Rate
    recall_at_fpr: dict[str, Rate]
    roc: tuple[tuple[float, float], ...]
    """Points (false alarms, recall) from (0, 0) to (1, 1)."""


class Evaluation(Record, frozen=True):
    """Figures of a guard, at any threshold and at its own."""

    guard: str
    stage: Stage
    figures: Figures
    baseline: Figures | None
    """Of the bag of words that was trained on the same rows as the guard."""
    threshold: float
    recall: Rate
    false_alarms: Rate
    by_category: dict[str, Group]
    by_form: dict[str, Group]
    n_harmful: int
    n_benign: int
    unscored: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """The command's output: plain numbers under the agreed names, intervals beside them."""
        return {
            **_plain(self.figures),
            "at_threshold": {
                "threshold": self.threshold,
                "recall": self.recall.value,
                "recall_interval": _interval(self.recall),
                "fpr": self.false_alarms.value,
                "fpr_interval": _interval(self.false_alarms),
            },
            "n_harmful": self.n_harmful,
            "n_benign": self.n_benign,
            "unscored": self.unscored,
            "stage": self.stage,
            "guard": self.guard,
            "baseline": None if self.baseline is None else _plain(self.baseline),
            "by_category": {name: _group(g) for name, g in self.by_category.items()},
            "by_form": {name: _group(g) for name, g in self.by_form.items()},
            "roc": self.figures.roc,
        }


def evaluate(
    classifier: Classifier,
    thresholds: Thresholds,
    window: int,
    harmful: TestFile,
    benign: TestFile,
    *,
    baselines: Mapping[str, WordsHead] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Figures on two files. They are of answers if the harmful rows have answers.

    Args:
        classifier: the guard's.
        thresholds: its own.
        window: characters scored at a time.
        harmful: rows that should be blocked.
        benign: rows that should not.
        baselines: heads over words by stage.
        progress: called with how many rows are scored, and of how many.
    """
    rows = [*harmful.rows, *benign.rows]
    scores_N = scores(classifier, rows, stage_of(harmful.rows), window, progress)
    return evaluated(
        classifier.identity, scores_N, thresholds, harmful, benign, baselines=baselines
    )


def evaluated(
    guard: str,
    scores_N: np.ndarray,
    thresholds: Thresholds,
    harmful: TestFile,
    benign: TestFile,
    *,
    baselines: Mapping[str, WordsHead] | None = None,
) -> Evaluation:
    """The same of scores that are there already.

    Args:
        guard: identity of the classifier.
        scores_N: of the harmful rows, then of the harmless ones.
        thresholds: see `evaluate`.
        harmful: see `evaluate`.
        benign: see `evaluate`.
        baselines: see `evaluate`.
    """
    stage, rows = stage_of(harmful.rows), [*harmful.rows, *benign.rows]
    labels_N = np.repeat([1, 0], [len(harmful.rows), len(benign.rows)])
    threshold = thresholds.prompt if stage == "prompt" else thresholds.answer
    blocked_N = scores_N >= threshold
    head = (baselines or {}).get(stage)
    compared = None if head is None else figures(word_scores(head, rows, stage), labels_N)
    harmless_N, caught_A = scores_N[labels_N == 0], scores_N[labels_N == 1]

    def grouped(name: str) -> dict[str, Group]:
        found = groups(harmful.rows, name)
        return {k: _of_group(caught_A[v], harmless_N, threshold) for k, v in found.items()}

    return Evaluation(
        guard,
        stage,
        figures(scores_N, labels_N),
        compared,
        threshold,
        wilson(float(blocked_N[labels_N == 1].sum()), len(harmful.rows)),
        wilson(float(blocked_N[labels_N == 0].sum()), len(benign.rows)),
        grouped("category"),
        grouped("form"),
        len(harmful.rows),
        len(benign.rows),
        dict(harmful.unscored + benign.unscored),
    )


def figures(scores_N: np.ndarray, labels_N: np.ndarray) -> Figures:
    """Areas, recalls and the curve."""
    recalls = {_name(r): recall_at_fpr(scores_N, labels_N, r).recall for r in RATES}
    alarms, caught, _ = roc_curve(labels_N, scores_N)
    kept = np.unique(np.linspace(0, len(alarms) - 1, min(len(alarms), _POINTS)).astype(int))
    curve = tuple((round(float(alarms[i]), 5), round(float(caught[i]), 5)) for i in kept)
    return Figures(auroc(scores_N, labels_N), auprc(scores_N, labels_N), recalls, curve)


def stage_of(rows: Sequence[TestRow]) -> Stage:
    """`answer` if every row has one, else `prompt`."""
    return "answer" if rows and all(row.answer for row in rows) else "prompt"


def scores(
    classifier: Classifier,
    rows: Sequence[TestRow],
    stage: Stage,
    window: int,
    progress: Progress | None = None,
) -> np.ndarray:
    """The score of each row at a stage [N], as the server would see it."""
    found: list[float] = []
    many = getattr(classifier, "conversation_scores", None)
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        if stage == "answer":
            found += [answer_score(classifier, row, window) for row in part]
        elif many is not None:
            found += many([row.messages for row in part])
        else:
            found += [classifier.start(row.messages).conversation_score for row in part]
        if progress is not None:
            progress(len(found), len(rows))
    return np.array(found, dtype=float)


def answer_score(classifier: Classifier, row: TestRow, window: int) -> float:
    """The highest score of an answer's windows; of none, 0."""
    stream = classifier.start(row.messages)
    check = TextCheck(stream, window, Thresholds(), enforce=False)
    check.push(row.answer)
    check.settle()
    return 0.0 if check.top is None else check.top.score


def word_scores(head: WordsHead, rows: Sequence[TestRow], stage: Stage) -> np.ndarray:
    """Logits of the bag of words, for the whole text [N]."""
    texts = [
        row.answer if stage == "answer" else "\n".join(m.content for m in row.messages)
        for row in rows
    ]
    return np.asarray(head.apply([readable(text) for text in texts]))


def _of_group(caught_A: np.ndarray, harmless_N: np.ndarray, threshold: float) -> Group:
    scores_N = np.concatenate([caught_A, harmless_N])
    labels_N = np.repeat([1, 0], [len(caught_A), len(harmless_N)])
    return Group(
        len(caught_A),
        auroc(scores_N, labels_N),
        {_name(r): recall_at_fpr(scores_N, labels_N, r).recall for r in RATES},
        wilson(float((caught_A >= threshold).sum()), len(caught_A)),
    )


def _plain(found: Figures) -> dict[str, Any]:
    return {
        "auroc": found.auroc.value,
        "auroc_interval": _interval(found.auroc),
        "auprc": found.auprc.value,
        "auprc_interval": _interval(found.auprc),
        "recall_at_fpr": {name: r.value for name, r in found.recall_at_fpr.items()},
        "recall_at_fpr_interval": {name: _interval(r) for name, r in found.recall_at_fpr.items()},
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "n": group.n,
        "auroc": group.auroc.value,
        "recall": group.recall.value,
        "recall_interval": _interval(group.recall),
        "recall_at_fpr": {name: r.value for name, r in group.recall_at_fpr.items()},
        "recall_at_fpr_interval": {n: _interval(r) for n, r in group.recall_at_fpr.items()},
    }


def _interval(rate: Rate) -> list[float]:
    return [rate.low, rate.high]


def _name(rate: float) -> str:
    return f"{rate:g}"
