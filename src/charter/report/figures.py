"""How numbers are written: percent, Elo, durations, and a rate with its interval and n.

Owns the wording of figures and nothing else; "–" stands for what is not known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from charter.statistics import Rate

Scale = Literal["share", "elo", "number"]
NOTHING = "–"
_THIN, _MINUS = "\u202f", "\u2212"
_FINE_FROM = 1000
"""From this n on, a tenth of a percent means something."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure ready for the page."""

    value: str
    interval: str = ""
    n: str = ""


def shown_rate(rate: Rate | None) -> Shown:
    """A share with its interval and n."""
    if rate is None or rate.n == 0:
        return Shown(NOTHING)
    interval = span(rate.low, rate.high, "share", rate.n)
    return Shown(one(rate.value, "share", rate.n), interval, count(rate.n))


def one(value: float | None, scale: Scale, n: int = 0) -> str:
    """One number: a share as percent, an Elo difference with its sign, others plainly."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if scale == "share":
        return f"{100 * value:.{_places(n)}f}{_THIN}%"
    if scale == "elo":
        rounded = round(value)
        return "0" if rounded == 0 else f"{rounded:+d}".replace("-", _MINUS)
    return plain(value)


def span(low: float | None, high: float | None, scale: Scale, n: int = 0) -> str:
    """An interval, "50 to 71 %"."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    if scale == "share":
        places = _places(n)
        return f"{100 * low:.{places}f} to {100 * high:.{places}f}{_THIN}%"
    return f"{one(low, scale)} to {one(high, scale)}"


def plain(value: float) -> str:
    """Three significant digits, whole numbers in full, no exponent where it can be helped."""
    if not math.isfinite(value):
        return NOTHING
    if float(value).is_integer():
        return count(int(value))
    text = f"{value:.3g}"
    if "e" in text and abs(value) >= 1:
        text = f"{value:,.0f}".replace(",", _THIN)
    return text.replace("-", _MINUS)


def count(value: int) -> str:
    """A whole number with thin spaces between thousands."""
    text = f"{value:,d}".replace(",", _THIN) if abs(value) >= 10_000 else str(value)
    return text.replace("-", _MINUS)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 60:
        return f"{seconds:.1f}{_THIN}s" if seconds < 10 else f"{seconds:.0f}{_THIN}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{_THIN}min {rest}{_THIN}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}{_THIN}h {minutes}{_THIN}min"


def rate_in(value: Any) -> Rate | None:
    """A rate written as a mapping with value, low, high, n; also one level further down."""
    if not isinstance(value, Mapping):
        return None
    try:
        return msgspec.convert({name: value.get(name) for name in Rate.__struct_fields__}, Rate)
    except msgspec.ValidationError:
        return next((r for r in map(rate_in, value.values()) if r is not None), None)


def number_in(notes: Mapping[str, Any], name: str) -> float | None:
    """A number among notes, or None."""
    value = notes.get(name)
    return float(value) if isinstance(value, int | float) else None


def mapping_in(notes: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A mapping among notes, or an empty one."""
    value = notes.get(name)
    return value if isinstance(value, Mapping) else {}


def _places(n: int) -> int:
    return 1 if n >= _FINE_FROM else 0
