"""The opinion map as numbers ready to draw: points in picture units, and what pulls where.

Knows no HTML; the page's template draws what stands here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charter.collective.groups import Floats, Grouping, Plane
from charter.seeds import derive

WIDTH, HEIGHT, _MARGIN = 620, 440, 22
_DRAWN = 2_500
_PULLS = 2
_SIDES = ("To the right", "To the left", "Upwards", "Downwards")


@dataclass(frozen=True, slots=True)
class Dot:
    """A participant, or the middle of a group; `group` counts from 1."""

    x: str
    y: str
    group: int


@dataclass(frozen=True, slots=True)
class Pull:
    """A side of the map, and the statements whose agreement pulls there most."""

    side: str
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpinionMap:
    """All that is drawn."""

    dots: tuple[Dot, ...]
    middles: tuple[Dot, ...]
    pulls: tuple[Pull, ...]
    drawn: int
    of: int


def opinion_map(plane: Plane, grouping: Grouping, texts: Sequence[str], seed: int) -> OpinionMap:
    """The map of a grouping.

    Args:
        plane: where everyone stands.
        grouping: the group of everyone.
        texts: of the statements, in the order of the plane's loadings.
        seed: for the sample that is drawn where there are too many to draw.
    """
    points = _in_picture(plane.points)
    chosen = _sample(len(points), seed)
    dots = tuple(_dot(points[i], int(grouping.labels[i])) for i in chosen)
    middles = tuple(
        _dot(points[grouping.labels == group].mean(axis=0), group) for group in range(grouping.k)
    )
    return OpinionMap(dots, middles, _pulls(plane.loadings, texts), len(dots), len(points))


def _in_picture(points: Floats) -> Floats:
    """Both directions on one scale, since a distance means the same in each; y upwards."""
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.array([WIDTH, HEIGHT]) - 2 * _MARGIN
    spans = np.where(high > low, high - low, 1.0)
    scale = float((room / spans).min())
    placed = (points - (low + high) / 2) * scale
    placed[:, 1] *= -1
    return np.asarray(placed + np.array([WIDTH, HEIGHT]) / 2, dtype=np.float64)


def _sample(count: int, seed: int) -> list[int]:
    if count <= _DRAWN:
        return list(range(count))
    draw = np.random.default_rng(derive("collect", seed, "map"))
    return sorted(int(i) for i in draw.choice(count, _DRAWN, replace=False))


def _dot(point: Floats, group: int) -> Dot:
    return Dot(f"{point[0]:.1f}", f"{point[1]:.1f}", group + 1)


def _pulls(loadings: Floats, texts: Sequence[str]) -> tuple[Pull, ...]:
    found = []
    for side, pull in zip(_SIDES, (s * row for row in loadings for s in (1, -1)), strict=True):
        strongest = [int(i) for i in np.argsort(-pull, kind="stable")[:_PULLS] if pull[i] > 0]
        if strongest:
            found.append(Pull(side, tuple(texts[i] for i in strongest)))
    return tuple(found)
