"""How well a scorer agrees with labels of pairs: accuracy, ties, calibration, and taste for length.

Owns the figures. Knows no model: a scorer and labelled pairs come in, whoever labelled them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from charter.judging.calibration import reliability
from charter.records import Comparison, Scorer
from charter.statistics import Rate, wilson
from charter.statistics.rate import Z95

AI, HUMAN = "ai", "human"


@dataclass(frozen=True, slots=True)
class SourcedPair:
    """A comparison, the probability that A is better, and who says so (`ai`, `human`, …)."""

    comparison: Comparison
    p_a: float
    source: str = AI


@dataclass(frozen=True, slots=True)
class _Read:
    """A pair that was scored: reward of A less that of B, and characters of A less those of B."""

    margin: float
    length: int
    p_a: float


def scorer_figures(scorer: Scorer, pairs: Sequence[SourcedPair]) -> dict[str, Any]:
    """Agreement and calibration of a scorer against soft labels; a tie counts one half.

    Returns:
        what `reliability` returns; `tie_rate` of the scorer and `label_tie_rate`; `unscored`, pairs
        that have no score for one of their answers; `length_correlation` of reward margins with
        differences in length, and `label_length_correlation` of the labels with them; `by_source`,
        with `accuracy` and `unscored` for each.
    """
    read = _read(scorer, pairs)
    known = [one for one in read if one is not None]
    lengths = [float(one.length) for one in known]
    return {
        **_reliability(known),
        "tie_rate": wilson(sum(one.margin == 0 for one in known), len(known)),
        "label_tie_rate": wilson(sum(one.p_a == 0.5 for one in known), len(known)),
        "unscored": len(read) - len(known),
        "length_correlation": correlation([one.margin for one in known], lengths),
        "label_length_correlation": correlation([2 * one.p_a - 1 for one in known], lengths),
        "by_source": _by_source(pairs, read),
    }


def correlation(one: Sequence[float], other: Sequence[float]) -> Rate | None:
    """Correlation about zero of two kinds of differences, with Fisher's interval (Fisher 1921).

    Exchanging A and B turns both signs, so the mean of neither is taken off: it says only which
    answers happened to stand first. None where nothing differs, or of three pairs or fewer.
    """
    size = math.sqrt(sum(x * x for x in one) * sum(y * y for y in other))
    if not size or len(one) < 4:
        return None
    r = sum(x * y for x, y in zip(one, other, strict=True)) / size
    inside = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, r)))
    half = Z95 / math.sqrt(len(one) - 3)
    return Rate(r, min(r, math.tanh(inside - half)), max(r, math.tanh(inside + half)), len(one))


def _read(scorer: Scorer, pairs: Sequence[SourcedPair]) -> list[_Read | None]:
    compared = [pair.comparison for pair in pairs]
    scores = scorer.score([(c.prompt, text) for c in compared for text in (c.a, c.b)])
    found: list[_Read | None] = []
    for index, pair in enumerate(pairs):
        a, b = scores[2 * index].value, scores[2 * index + 1].value
        if a is None or b is None:
            found.append(None)
        else:
            length = len(pair.comparison.a) - len(pair.comparison.b)
            found.append(_Read(a - b, length, pair.p_a))
    return found


def _reliability(read: Sequence[_Read]) -> dict[str, Any]:
    predicted = [1 / (1 + math.exp(-max(-700.0, min(700.0, one.margin)))) for one in read]
    return reliability(predicted, [one.p_a for one in read])


def _by_source(
    pairs: Sequence[SourcedPair], read: Sequence[_Read | None]
) -> dict[str, dict[str, Any]]:
    rows: dict[str, list[_Read | None]] = {}
    for pair, one in zip(pairs, read, strict=True):
        rows.setdefault(pair.source, []).append(one)
    found = {}
    for source in sorted(rows):
        known = [one for one in rows[source] if one is not None]
        accuracy = _reliability(known)["accuracy"]
        found[source] = {"accuracy": accuracy, "unscored": len(rows[source]) - len(known)}
    return found
