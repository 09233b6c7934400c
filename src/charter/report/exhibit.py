"""A picture or a table with its numbers beside it: as CSV, as JSON, and as a table to read.

The numbers travel inside the page as `data:` links, so that a report that was mailed or moved still
has them and nothing is loaded. Knows nothing of what the numbers mean.
"""

from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
from markupsafe import Markup

from charter.report.charts import line_chart
from charter.report.figures import NOTHING, plain

Value = str | float | int | None
NO_PICTURE = Markup("")
_READABLE = 40
"""Rows that a person reads; a longer table is for the file."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a text begins that a spreadsheet would run."""
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A figure and its numbers.

    Attributes:
        name: of the downloaded file, without an ending.
        columns: titles of the numbers.
        rows: the numbers, a value a column; None is not known.
        picture: inline SVG; empty for the numbers of a table that the page shows itself.
    """

    name: str
    columns: tuple[str, ...]
    rows: list[tuple[Value, ...]]
    picture: Markup = NO_PICTURE

    @property
    def csv(self) -> str:
        """A link to the numbers as CSV."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([_harmless(name) for name in self.columns])
        writer.writerows([_harmless(_short(value)) for value in row] for row in self.rows)
        return _link("text/csv", stream.getvalue().encode())

    @property
    def json(self) -> str:
        """A link to the numbers as a JSON list of objects."""
        named = [dict(zip(self.columns, map(_short, r), strict=True)) for r in self.rows]
        return _link("application/json", msgspec.json.encode(named))

    @property
    def shown(self) -> list[list[str]]:
        """The numbers as texts for a table, or nothing if they are too many to read."""
        if not self.picture or len(self.rows) > _READABLE:
            return []
        return [[_text(value) for value in row] for row in self.rows]


def curve(name: str, points: Sequence[tuple[float, float]], x: str, y: str) -> Exhibit | None:
    """A line chart with its points, or None if there is nothing to draw."""
    picture = line_chart(points, x, y)
    return Exhibit(slug(name, y), (x, y), [*points], picture) if picture else None


def drawn(exhibits: Iterable[Exhibit | None]) -> list[Exhibit]:
    """Those that have something to show."""
    return [one for one in exhibits if one is not None]


def slug(*parts: str) -> str:
    """A file name, or a fragment of a link, from any texts."""
    return re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-") or "data"


def _link(kind: str, blob: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(blob).decode()}"


def _harmless(value: Value) -> Value:
    """Texts come from people and models: none of them may become a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _short(value: Value) -> Value:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _text(value: Value) -> str:
    if value is None:
        return NOTHING
    return value if isinstance(value, str) else plain(value)
