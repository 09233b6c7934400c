"""Elements, scales and axes: just enough SVG to draw the charts by hand.

Everything that becomes text is escaped here, once. Colours are left to the style sheet, by class,
so that charts follow the reader's light or dark mode.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup, escape

_TITLE_ROOM, _LETTER = 26.0, 7.6
_SMALL = 1e-3
"""Below it, zeros after the point are harder to read than a power of ten."""


def tag(element: str, *children: str | Markup, **attributes: object) -> Markup:
    """An element. Strings are escaped, `Markup` is not; `x_y` becomes `x-y`, `class_` `class`."""
    named = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_short(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    inner = Markup("").join(children)
    return Markup("<{0}{1}>{2}</{0}>").format(element, Markup(named), inner)


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map from data to picture units; `start` may be larger than `end`, as for y."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a value stands, kept inside the frame."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)


@dataclass(frozen=True, slots=True)
class Frame:
    """A plotting area inside a picture, with its two scales."""

    width: float
    height: float
    x: Scale
    y: Scale

    @classmethod
    def of(
        cls,
        x: tuple[float, float],
        y: tuple[float, float],
        *,
        width: float = 420,
        height: float = 260,
        left: float = 46,
        bottom: float = 40,
    ) -> Frame:
        """A frame with room for tick labels on the left and at the bottom."""
        return cls(
            width,
            height,
            Scale(*x, left, width - 18),
            Scale(*y, height - bottom, 12),
        )

    def picture(self, label: str, *children: Markup, class_: str = "chart") -> Markup:
        """The whole picture; `label` is what a screen reader says."""
        box = f"0 0 {_short(self.width)} {_short(self.height)}"
        return tag("svg", *children, class_=class_, viewBox=box, role="img", aria_label=label)

    def axes(
        self,
        x_label: str,
        y_label: str,
        *,
        x_text: Callable[[float], str] | None = None,
        y_text: Callable[[float], str] | None = None,
    ) -> Markup:
        """Grid lines, tick labels and axis titles."""
        parts = [self._x_tick(at, text) for at, text in _marked(self.x.low, self.x.high, x_text)]
        parts += [self._y_tick(at, text) for at, text in _marked(self.y.low, self.y.high, y_text)]
        left, right, base = self.x.start, self.x.end, self.y.start
        parts.append(tag("line", x1=left, y1=base, x2=right, y2=base, class_="baseline"))
        middle, foot = (self.x.start + self.x.end) / 2, self.height - 6
        parts.append(tag("text", x_label, x=middle, y=foot, class_="axis", text_anchor="middle"))
        height = (self.y.start + self.y.end) / 2
        turn = f"rotate(-90 11 {_short(height)})"
        parts.append(
            tag(
                "text", y_label, x=11, y=height, class_="axis", text_anchor="middle", transform=turn
            )
        )
        return Markup("").join(parts)

    def line(self, x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
        """A line between two points of the data."""
        return tag(
            "line", x1=self.x(x1), y1=self.y(y1), x2=self.x(x2), y2=self.y(y2), class_=class_
        )

    def _x_tick(self, value: float, text: str) -> Markup:
        at, foot = self.x(value), self.y.start
        mark = tag("line", x1=at, y1=foot, x2=at, y2=foot + 4, class_="tick")
        return mark + tag("text", text, x=at, y=foot + 16, class_="ticktext", text_anchor="middle")

    def _y_tick(self, value: float, text: str) -> Markup:
        at, left = self.y(value), self.x.start
        rule = tag("line", x1=left, y1=at, x2=self.x.end, y2=at, class_="grid")
        return rule + tag("text", text, x=left - 6, y=at + 4, class_="ticktext", text_anchor="end")


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers (1, 2, 5 times a power of ten) inside an interval, about `wanted` of them."""
    width = high - low
    if not (width > 0 and math.isfinite(width)):
        return [low]
    raw = width / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((power * m for m in (1, 2, 5) if raw <= power * m), power * 10)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def margin_for(y: tuple[float, float], text: Callable[[float], str] | None = None) -> float:
    """Room on the left of a frame for the tick labels of `y` and the axis title, in picture units.

    Enough for the larger letters that charts have on a narrow screen.
    """
    return _TITLE_ROOM + _LETTER * max(len(shown) for _, shown in _marked(*y, text))


def tick_texts(values: list[float]) -> list[str]:
    """Labels of one axis, all written alike: very small ones by their power of ten."""
    small = 0 < max(map(abs, values), default=0.0) < _SMALL
    return [_power_text(v) if small and v else tick_text(v) for v in values]


def tick_text(value: float) -> str:
    """A tick label: no more digits than it needs, with a true minus sign."""
    return f"{value:.6g}".replace("-", "\u2212")


def percent_text(value: float) -> str:
    """A tick label for a share."""
    return f"{100 * value:.4g}%"


def padded(values: list[float], share: float = 0.08) -> tuple[float, float]:
    """The range of some numbers with a margin; never empty."""
    low, high = min(values), max(values)
    margin = share * (high - low) or max(abs(low) * share, 0.5)
    return low - margin, high + margin


def _marked(
    low: float, high: float, text: Callable[[float], str] | None
) -> list[tuple[float, str]]:
    """Where the ticks of an axis stand, and what is written there."""
    at = ticks(low, high)
    return [*zip(at, map(text, at) if text else tick_texts(at), strict=True)]


def _power_text(value: float) -> str:
    digits, power = f"{value:.2e}".split("e")
    return f"{float(digits):g}e{int(power)}".replace("-", "\u2212")


def _short(value: object) -> object:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
