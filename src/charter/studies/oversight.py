"""Study: what happens when the judge is weaker than the policy?

A grid of judge strength by policy strength on labelled pairs: accuracy of the labels, gain of the
policy, performance gap recovered, and for each policy the accuracy below which labels stop helping.
Owns the strengths, the views, and the intervals; the cell of the grid is `grid`.

Shape suffixes: N pairs, F features as read, D features kept, J judges, P policies, Q prompts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

from charter.errors import TrainingError
from charter.judging.pairs import LabelledPair
from charter.records import Record
from charter.seeds import derive
from charter.statistics import Rate
from charter.statistics.bootstrap import bootstrap
from charter.studies import ridge
from charter.studies.grid import FIGURES, TEST, JudgeStrength, Pairs, PolicyStrength, measure

STUDY, WORDS = "oversight", "words"
_LEAST = 12
_HASHED = 2**12
_UNKNOWN = -9.0
"""Stands for a figure that a draw does not have; every real one is larger."""


class Settings(Record, frozen=True):
    """How large the grid is. The defaults suit the embedded model on two cores."""

    judge_pairs: tuple[int, ...] = (15, 60)
    """Pairs that people labelled for a judge; each number with every view."""
    flipped: tuple[float, ...] = (0.0, 0.3)
    """Shares of a judge's labels that are flipped."""
    policy_pairs: tuple[int, ...] = (10, 60)
    """Labelled pairs that a policy knew beforehand; each number with the widest view."""
    features: int = 64
    """Directions of a view that are kept."""
    splits: int = 20
    """Random divisions of the prompts."""
    draws: int = 500
    seed: int = 0


class Cell(Record, frozen=True):
    """One judge with one policy; see `grid` for the figures.

    Attributes:
        recovered: performance gap recovered; None where the ceiling cannot be told from the label.
    """

    judge: JudgeStrength
    policy: PolicyStrength
    label: Rate
    before: Rate
    after: Rate
    ceiling: Rate
    gain: Rate
    recovered: Rate | None


class Break(Record, frozen=True):
    """Accuracy of the labels at which a policy's gain is 0, on a line through the judges.

    `accuracy` is None where no such line can be told: all judges help, none does, or the gain does
    not rise with the accuracy.
    """

    policy: PolicyStrength
    accuracy: Rate | None
    reason: str = ""


class Oversight(Record, frozen=True):
    """What was found."""

    model: str
    source: str
    pairs: int
    prompts: int
    ties: int
    cells: list[Cell]
    breaks: list[Break]


@dataclass(frozen=True, slots=True)
class Views:
    """Features [N, 2, F] of both answers of every pair, by the name of who reads them.

    `widest` is the view of the policies.
    """

    features: Mapping[str, np.ndarray]
    widest: str
    model: str


def run(
    labelled: Sequence[LabelledPair],
    views: Views,
    settings: Settings,
    *,
    source: str = "",
    ties: int = 0,
) -> Oversight:
    """Measure the grid.

    Args:
        labelled: the pairs that the views were read of, in order, ties left out; see `clear_pairs`.
        views: what judges and policies see.
        settings: strengths.
        source: where the pairs come from, for the record, and how many `ties` were left out.

    Raises:
        TrainingError: there are too few pairs or prompts.
    """
    prompts = [pair.comparison.prompt.messages[0].content for pair in labelled]
    if len(set(prompts)) < _LEAST:
        raise TrainingError(f"{len(set(prompts))} prompts are too few: it takes {_LEAST}")
    _check(settings, len(labelled))
    small = {n: _gaps(f, settings.features) for n, f in views.features.items()}
    sign_N = np.array([1.0 if pair.p_a > 0.5 else -1.0 for pair in labelled])
    judges, policies = _strengths(small, views.widest, settings)
    found = measure(
        Pairs(small, sign_N, prompts),
        judges,
        policies,
        splits=settings.splits,
        seed=settings.seed,
    )
    found = found[..., ~np.isnan(found).any((0, 1, 2))]
    cells = [
        _as_cell(judge, policy, found[j, p], derive(settings.seed, STUDY, j, p), settings.draws)
        for j, judge in enumerate(judges)
        for p, policy in enumerate(policies)
    ]
    breaks = [
        _break(policy, found[:, p], derive(settings.seed, STUDY, "break", p), settings.draws)
        for p, policy in enumerate(policies)
    ]
    return Oversight(views.model, source, len(labelled), len(set(prompts)), ties, cells, breaks)


def _strengths(
    small: Mapping[str, np.ndarray], widest: str, settings: Settings
) -> tuple[list[JudgeStrength], list[PolicyStrength]]:
    """Rows and columns of the grid."""
    judges = [
        JudgeStrength(view, count, flip)
        for view in small
        for count in settings.judge_pairs
        for flip in settings.flipped
    ]
    return judges, [PolicyStrength(widest, count) for count in settings.policy_pairs]


def clear_pairs(labelled: Sequence[LabelledPair]) -> tuple[list[LabelledPair], int]:
    """Pairs that are no tie, and how many were."""
    clear = [pair for pair in labelled if pair.p_a != 0.5]
    return clear, len(labelled) - len(clear)


def layer_views(features_N2F: np.ndarray, layers: int) -> dict[str, np.ndarray]:
    """Views of the first of the layers read, of the first half, and of all of them."""
    width = features_N2F.shape[-1] // layers
    counts = dict.fromkeys((1, max(1, layers // 2), layers))
    return {f"{count} of {layers} layers": features_N2F[..., : count * width] for count in counts}


def word_view(labelled: Sequence[LabelledPair]) -> np.ndarray:
    """Counts of hashed words [N, 2, F]: a judge that has never seen a model."""
    vectors = HashingVectorizer(n_features=_HASHED, alternate_sign=False, norm="l2")
    sides = [[getattr(pair.comparison, side) for pair in labelled] for side in ("a", "b")]
    return np.stack([vectors.transform(side).toarray() for side in sides], 1)


def _gaps(features_N2F: np.ndarray, most: int) -> np.ndarray:
    """Differences of the two answers in few directions, without labels being looked at."""
    gap_NF = features_N2F[:, 0] - features_N2F[:, 1]
    # Both orders, so that the mean is 0 and swapping the answers changes the sign and no more.
    both = ridge.compress(np.concatenate([gap_NF, -gap_NF]), most)
    return both[: len(gap_NF)]


def _as_cell(
    judge: JudgeStrength, policy: PolicyStrength, found_4Q: np.ndarray, seed: int, draws: int
) -> Cell:
    value, low, high = _interval(found_4Q, seed, draws)
    n = found_4Q.shape[1]
    rates = [
        Rate(float(v), float(a), float(b), n) for v, a, b in zip(value[:6], low, high, strict=False)
    ]
    label, before, after, ceiling, gain, recovered = rates
    told = low[6] > 0 and low[5] > _UNKNOWN
    return Cell(judge, policy, label, before, after, ceiling, gain, recovered if told else None)


def _interval(found_4Q: np.ndarray, seed: int, draws: int) -> tuple[np.ndarray, ...]:
    """Value, low and high of the four figures, gain, recovered, and ceiling less label."""

    def statistic(weights_DQ: np.ndarray) -> np.ndarray:
        mean_D4 = weights_DQ @ found_4Q.T / weights_DQ.sum(1, keepdims=True)
        label, before, after, ceiling = mean_D4.T
        gap = ceiling - label
        recovered = np.where(gap > 1e-9, (after - label) / np.where(gap > 1e-9, gap, 1), _UNKNOWN)
        return np.stack([*mean_D4.T, after - before, recovered, gap], 1)

    value = statistic(np.ones((1, found_4Q.shape[1])))[0]
    low, high = bootstrap(statistic, found_4Q.shape[1], seed=seed, draws=draws)
    return value, low, high


def _break(policy: PolicyStrength, found_J4Q: np.ndarray, seed: int, draws: int) -> Break:
    """Where a straight line of gain on label accuracy crosses 0, with its bootstrap interval."""
    label, before, after = (FIGURES.index(name) for name in ("label", "before", "after"))

    def statistic(weights_DQ: np.ndarray) -> np.ndarray:
        total = weights_DQ.sum(1, keepdims=True)
        accuracy_DJ = weights_DQ @ found_J4Q[:, label].T / total
        gain_DJ = weights_DQ @ (found_J4Q[:, after] - found_J4Q[:, before]).T / total
        rows = [_line(x, y) for x, y in zip(accuracy_DJ, gain_DJ, strict=True)]
        return np.array(rows)

    prompts = found_J4Q.shape[2]
    crossing = statistic(np.ones((1, prompts)))[0, 1]
    low, high = bootstrap(statistic, prompts, seed=seed, draws=draws)
    if low[0] <= 0:
        return Break(policy, None, "the gain does not clearly rise with the labels' accuracy")
    accuracy_J = found_J4Q[:, label].mean(1)
    if not accuracy_J.min() <= crossing <= accuracy_J.max():
        side = "all judges of the grid help" if crossing < accuracy_J.min() else "no judge helps"
        return Break(policy, None, side)
    return Break(policy, Rate(float(crossing), float(low[1]), float(high[1]), len(accuracy_J)))


def _line(x_J: np.ndarray, y_J: np.ndarray) -> tuple[float, float]:
    """Slope of a line, and where it crosses 0 (cut to a share; the far end if it never rises)."""
    spread = float(((x_J - x_J.mean()) ** 2).sum())
    slope = float(((x_J - x_J.mean()) * y_J).sum() / spread) if spread > 1e-12 else 0.0
    if slope <= 1e-9:
        return slope, 1.0
    return slope, float(np.clip(x_J.mean() - y_J.mean() / slope, 0.0, 1.0))


def _check(settings: Settings, pairs: int) -> None:
    """There must be pairs left to label once judge and policy have theirs, and the test has its."""
    learnt = max(settings.judge_pairs) + max(settings.policy_pairs)
    if pairs * (1 - TEST) - learnt < _LEAST:
        raise TrainingError(
            f"{pairs} pairs are too few: judge and policy learn from {learnt} of them, "
            f"{TEST:.0%} are for the test, and {_LEAST} must be left to label"
        )
