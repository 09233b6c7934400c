"""The charts of the report, each a pure function from numbers to inline SVG.

Knows nothing of models or stages: names and classes of points come in with the data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from charter.report.svg import Frame, Scale, margin_for, padded, percent_text, tag, tick_text
from charter.statistics import Rate

_NONE = Markup("")
_STRIP_WIDTH, _STRIP_HEIGHT = 120.0, 14.0
_SMOOTH_FROM = 24
"""Shorter curves are drawn as they are."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A value with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PlanePoint:
    """A labelled point with an interval in both directions; `style` is its CSS class."""

    label: str
    style: str
    x: Spread
    y: Spread


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a reliability plot: mean prediction and how often it was right."""

    mean_p: float
    rate: Rate


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One line of a forest plot; `style` is its CSS class."""

    label: str
    style: str
    spread: Spread


def forest(rows: Sequence[ForestRow], x_label: str, *, share: bool = False) -> Markup:
    """Values with their intervals on one axis, a row each, from top to bottom."""
    if not rows:
        return _NONE
    ends = [v for row in rows for v in (row.spread.low, row.spread.value, row.spread.high)]
    x = (0.0, 1.0) if share else padded(ends)
    height = 22.0 * len(rows) + 56
    left = min(190.0, 20 + 6.6 * max(len(row.label) for row in rows))
    frame = Frame.of(x, (0.0, float(len(rows))), width=440, height=height, left=left)
    marks = [_forest_mark(frame, row, len(rows) - i - 0.5) for i, row in enumerate(rows)]
    told = percent_text if share else tick_text
    said = "; ".join(f"{row.label}: {told(float(f'{row.spread.value:.3g}'))}" for row in rows)
    axis = frame.axes(x_label, "", x_text=told, y_text=lambda _: "")
    return frame.picture(f"{x_label} with 95 % intervals. {said}", axis, *marks)


def plane(points: Sequence[PlanePoint], x_label: str, y_label: str) -> Markup:
    """Points in a plane with interval bars, joined in the order given."""
    xs = [v for p in points for v in (p.x.low, p.x.value, p.x.high)]
    ys = [v for p in points for v in (p.y.low, p.y.value, p.y.high)]
    y = padded(ys, 0.12)
    frame = Frame.of(padded(xs, 0.12), y, width=520, height=380, left=margin_for(y))
    zero = [frame.line(0, frame.y.low, 0, frame.y.high, "zero")] if _inside(frame.x) else []
    zero += [frame.line(frame.x.low, 0, frame.x.high, 0, "zero")] if _inside(frame.y) else []
    path = " ".join(f"{frame.x(p.x.value):.1f},{frame.y(p.y.value):.1f}" for p in points)
    body = [tag("polyline", points=path, class_="way"), *(_cross(frame, p) for p in points)]
    labels = _labels(frame, points)
    said = "; ".join(f"{p.label}: {p.x.value:.0f}, {p.y.value:.0f}" for p in points)
    axes = frame.axes(x_label, y_label)
    return frame.picture(f"{x_label} against {y_label}. {said}", axes, *zero, *body, labels)


def line_chart(points: Sequence[tuple[float, float]], x_label: str, y_label: str) -> Markup:
    """A curve; a long one is drawn faintly, with its running mean on top."""
    points = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if not points:
        return _NONE
    xs, ys = [x for x, _ in points], [y for _, y in points]
    x, y = (min(xs), max(max(xs), min(xs) + 1)), padded(ys)
    frame = Frame.of(x, y, height=220, left=margin_for(y))
    if len(points) < _SMOOTH_FROM:
        body = [_polyline(frame, points, "curve"), *(_dot(frame, p) for p in points)]
    else:
        body = [_polyline(frame, points, "curve faint")]
        body.append(_polyline(frame, running_mean(points), "curve"))
    label = f"{y_label} by {x_label}: from {ys[0]:.3g} to {ys[-1]:.3g} over {len(points)} points"
    return frame.picture(label, frame.axes(x_label, y_label), *body)


def running_mean(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Mean over a centred window of about a tenth of the curve, shorter at both ends."""
    reach = max(1, len(points) // 20)
    windows = [points[max(0, i - reach) : i + reach + 1] for i in range(len(points))]
    return [(p[0], sum(y for _, y in w) / len(w)) for p, w in zip(points, windows, strict=True)]


def reliability_plot(bins: Sequence[Bin], x_label: str, y_label: str) -> Markup:
    """Predicted against observed, with intervals; on the diagonal a probability means itself.

    Bins folded onto the winner start at one half, so the axis does.
    """
    if not bins:
        return _NONE
    start = 0.5 if all(b.mean_p >= 0.5 for b in bins) else 0.0
    floor = min([start, *(math.floor(10 * b.rate.low) / 10 for b in bins)])
    y = (floor, 1.0)
    frame = Frame.of((start, 1.0), y, left=margin_for(y, percent_text))
    diagonal = frame.line(start, start, 1, 1, "diagonal")
    marks = [_reliability_mark(frame, b, max(x.rate.n for x in bins)) for b in bins]
    axes = frame.axes(x_label, y_label, x_text=percent_text, y_text=percent_text)
    return frame.picture(f"{y_label} against {x_label}, {len(bins)} bins", axes, diagonal, *marks)


def histogram(counts: Sequence[int], low: float, high: float, label: str) -> Markup:
    """Counts in equally wide bins between two numbers."""
    if not any(counts):
        return _NONE
    y = (0.0, 1.05 * max(counts))
    frame = Frame.of((low, high), y, left=margin_for(y))
    step = (high - low) / len(counts)
    bars = [_column(frame, low + i * step, step, count) for i, count in enumerate(counts)]
    said = f"{label}: {sum(counts)} in {len(counts)} bins"
    return frame.picture(said, frame.axes(label, "count"), *bars)


def bar(value: float, largest: float, style: str = "bar") -> Markup:
    """A horizontal bar for a table cell, as a share of the largest of its column."""
    scale = Scale(0, largest or 1.0, 0, _STRIP_WIDTH)
    back = tag("rect", x=0, y=3, width=_STRIP_WIDTH, height=8, rx=2, class_="track")
    front = tag("rect", x=0, y=3, width=scale(value), height=8, rx=2, class_=style)
    return _strip(back, front)


def interval_strip(
    spread: Spread, limits: tuple[float, float], *, style: str, reference: float | None = None
) -> Markup:
    """A dot with its interval on a track; `reference` puts a tick where the base model stands."""
    scale = Scale(*limits, 4.0, _STRIP_WIDTH - 4.0)
    parts = [tag("line", x1=0, y1=7, x2=_STRIP_WIDTH, y2=7, class_="trackline")]
    if reference is not None:
        at = scale(reference)
        parts.append(tag("line", x1=at, y1=1, x2=at, y2=13, class_="reference"))
    low, high = scale(spread.low), scale(spread.high)
    parts.append(tag("line", x1=low, y1=7, x2=high, y2=7, class_=f"whisker {style}"))
    parts.append(tag("circle", cx=scale(spread.value), cy=7, r=4, class_=f"point {style}"))
    return _strip(*parts)


def _strip(*parts: Markup) -> Markup:
    box = f"0 0 {_STRIP_WIDTH:.0f} {_STRIP_HEIGHT:.0f}"
    return tag("svg", *parts, class_="strip", viewBox=box, aria_hidden="true")


def _inside(scale: Scale) -> bool:
    return scale.low < 0 < scale.high


def _cross(frame: Frame, p: PlanePoint) -> Markup:
    style = f"whisker {p.style}"
    across = frame.line(p.x.low, p.y.value, p.x.high, p.y.value, style)
    up = frame.line(p.x.value, p.y.low, p.x.value, p.y.high, style)
    x, y = frame.x(p.x.value), frame.y(p.y.value)
    return across + up + tag("circle", cx=x, cy=y, r=6, class_=f"point {p.style}")


def _labels(frame: Frame, points: Sequence[PlanePoint]) -> Markup:
    """A label by each point, in the first corner that no other label or point stands in."""
    spots = [(frame.x(p.x.value), frame.y(p.y.value)) for p in points]
    taken = [(x - 8, y - 8, x + 8, y + 8) for x, y in spots]
    parts = []
    for p, (x, y) in zip(points, spots, strict=True):
        box = _free_corner(frame, x, y, 8.2 * len(p.label), taken)
        taken.append(box)
        parts.append(tag("text", p.label, x=box[0], y=box[3] - 3, class_=f"label {p.style}"))
    return _NONE.join(parts)


def _forest_mark(frame: Frame, row: ForestRow, y: float) -> Markup:
    at = row.spread
    across = frame.line(at.low, y, at.high, y, f"whisker {row.style}")
    middle = frame.y(y)
    dot = tag("circle", cx=frame.x(at.value), cy=middle, r=5, class_=f"point {row.style}")
    beside = frame.x.start - 8
    name = tag("text", row.label, x=beside, y=middle + 4, class_="ticktext", text_anchor="end")
    return across + dot + name


_Box = tuple[float, float, float, float]


def _free_corner(frame: Frame, x: float, y: float, width: float, taken: list[_Box]) -> _Box:
    offsets = [(11.0, -24.0), (-11.0 - width, -24.0), (11.0, 7.0), (-11.0 - width, 7.0)]
    boxes = [(x + dx, y + dy, x + dx + width, y + dy + 17) for dx, dy in offsets]
    fitting = [b for b in boxes if b[0] >= frame.x.start and b[2] <= frame.width] or boxes
    return next((b for b in fitting if not any(_overlap(b, t) for t in taken)), fitting[0])


def _overlap(a: _Box, b: _Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _polyline(frame: Frame, points: Sequence[tuple[float, float]], style: str) -> Markup:
    path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in points)
    return tag("polyline", points=path, class_=style)


def _dot(frame: Frame, point: tuple[float, float]) -> Markup:
    x, y = point
    title = tag("title", f"{x:g}: {y:.4g}")
    return tag("circle", title, cx=frame.x(x), cy=frame.y(y), r=2.6, class_="dot")


def _reliability_mark(frame: Frame, b: Bin, most: int) -> Markup:
    x, y = frame.x(b.mean_p), frame.y(b.rate.value)
    whisker = frame.line(b.mean_p, b.rate.low, b.mean_p, b.rate.high, "whisker accent")
    said = f"said {100 * b.mean_p:.0f} %, was {100 * b.rate.value:.0f} % of {b.rate.n}"
    radius = 3.5 + 4.5 * math.sqrt(b.rate.n / (most or 1))
    return whisker + tag("circle", tag("title", said), cx=x, cy=y, r=radius, class_="point accent")


def _column(frame: Frame, left: float, step: float, count: int) -> Markup:
    x1, x2, top = frame.x(left), frame.x(left + step), frame.y(count)
    title = tag("title", f"{left:.2f} to {left + step:.2f}: {count}")
    return tag(
        "rect",
        title,
        x=x1 + 0.75,
        y=top,
        width=max(0.5, x2 - x1 - 1.5),
        height=frame.y.start - top,
        class_="bar",
    )
