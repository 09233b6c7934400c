"""Several series of figures with intervals in one picture, as inline SVG.

Knows no study: series come in by name, with what stands on the axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from charter.report.svg import Frame, padded, tag
from charter.statistics import Rate

Series = Sequence[tuple[float, Rate]]
_STYLES = 6


def series_chart(series: Mapping[str, Series], x_label: str, y_label: str) -> Markup:
    """A line with whiskers a series, its name at its end; an empty picture without a point.

    Args:
        series: points by name, in the order of x.
        x_label: of the horizontal axis; `y_label` of the vertical one.
    """
    points = [point for line in series.values() for point in line]
    if not points:
        return Markup("")
    xs = [x for x, _ in points]
    ys = [y for _, rate in points for y in (rate.low, rate.value, rate.high)]
    wide = max(max(xs) - min(xs), 1e-9)
    # Room on the right for the names.
    frame = Frame.of((min(xs), max(xs) + 0.3 * wide), padded(ys), width=640, height=320, left=54)
    drawn = [
        part
        for number, (name, line) in enumerate(series.items())
        for part in _line(frame, name, line, f"s{number % _STYLES}")
    ]
    text = "; ".join(
        f"{name}: from {line[0][1].value:.2f} to {line[-1][1].value:.2f}"
        for name, line in series.items()
        if line
    )
    label = f"{y_label} by {x_label}. {text}"
    return frame.picture(label, frame.axes(x_label, y_label), *drawn)


def _line(frame: Frame, name: str, line: Series, style: str) -> list[Markup]:
    if not line:
        return []
    path = " ".join(f"{frame.x(x):.1f},{frame.y(rate.value):.1f}" for x, rate in line)
    parts = [tag("polyline", points=path, class_=style)]
    for x, rate in line:
        at = frame.x(x)
        low, high = frame.y(rate.low), frame.y(rate.high)
        parts.append(tag("line", x1=at, y1=low, x2=at, y2=high, class_=style))
        parts.append(tag("circle", cx=at, cy=frame.y(rate.value), r=3, class_=style))
    x, last = line[-1]
    place = {"x": frame.x(x) + 7, "y": frame.y(last.value) + 4}
    parts.append(tag("text", name, class_=style, **place))
    return parts
