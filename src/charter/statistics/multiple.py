"""Many comparisons at once: adjusted p-values, and a sentence that says what they mean.

Twenty comparisons at the 5 % level give one false alarm on average where nothing differs. Owns two
adjustments: Holm's keeps the chance of *any* false alarm under the level, Benjamini and Hochberg's
keeps the expected *share* of false alarms among the findings under it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from charter.records import Record


class Family(Record, frozen=True):
    """Comparisons judged together. Lists are in the order in which the p-values came."""

    n: int
    level: float
    p: tuple[float, ...]
    holm: tuple[float, ...]
    benjamini_hochberg: tuple[float, ...]
    note: str


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Adjusted p-values [N] (Holm 1979): reject those at or under the level, whatever depends."""
    p_N = _checked(p_values)
    order = np.argsort(p_N, kind="stable")
    steps = (len(p_N) - np.arange(len(p_N))) * p_N[order]
    adjusted = np.empty_like(p_N)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> np.ndarray:
    """Adjusted p-values [N] (Benjamini and Hochberg 1995), for independent comparisons, and for
    those that go together (Benjamini and Yekutieli 2001, §3)."""
    p_N = _checked(p_values)
    order = np.argsort(p_N, kind="stable")
    steps = len(p_N) / np.arange(1, len(p_N) + 1) * p_N[order]
    adjusted = np.empty_like(p_N)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(steps[::-1])[::-1])
    return adjusted


def family(p_values: Sequence[float], *, level: float = 0.05) -> Family:
    """Judge comparisons together, with the note that belongs beside them in a report."""
    plain, strict, lenient = _checked(p_values), holm(p_values), benjamini_hochberg(p_values)
    counts = [int((p_N <= level).sum()) for p_N in (plain, strict, lenient)]
    note = (
        f"{len(plain)} comparisons at the {level:g} level: {counts[0]} under it unadjusted, where "
        f"about {level * len(plain):.2g} would be by chance alone; {counts[1]} after Holm's "
        f"adjustment, {counts[2]} after Benjamini and Hochberg's."
    )
    return Family(len(plain), level, _tuple(plain), _tuple(strict), _tuple(lenient), note)


def _checked(p_values: Sequence[float]) -> np.ndarray:
    p_N = np.asarray(p_values, dtype=float)
    assert ((p_N >= 0) & (p_N <= 1)).all(), "p-values lie between 0 and 1; leave out missing ones"
    return p_N


def _tuple(values_N: np.ndarray) -> tuple[float, ...]:
    return tuple(values_N.tolist())
