"""What every study writes: its figures as JSON, its tables as CSV, one page for people.

    DIR/
    ├── NAME.json           everything
    ├── NAME-TABLE.csv      one file a table
    ├── NAME.md             finding, limits, tables
    └── NAME.html           the same with charts; needs nothing but itself

Owns the layout. Knows no study: text, tables and charts come in.
"""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from charter.errors import StoreError, boundary
from charter.records import Record
from charter.statistics import Rate
from charter.store import write_atomic

Cell = str | int | float | None
_PAGES = Environment(
    loader=PackageLoader("charter.studies"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Table(Record, frozen=True):
    """A table: its name is part of a file's name, its columns are the header of the CSV file."""

    name: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]


class Sheet(Record, frozen=True):
    """What a study has to say.

    Attributes:
        study: its name.
        finding: plain sentences.
        limits: what the figures cannot tell.
        tables: every figure, with interval and n.
    """

    study: str
    finding: list[str]
    limits: list[str]
    tables: list[Table]


def save(
    folder: Path, sheet: Sheet, figures: Mapping[str, Any], charts: Mapping[str, Markup]
) -> dict[str, str]:
    """Write the files; a file is written whole or not at all.

    Args:
        folder: made if need be.
        sheet: text and tables.
        figures: further content of the JSON file, plain data.
        charts: SVG pictures by caption.

    Returns:
        the path of each file by kind: `json`, `csv-TABLE`, `markdown`, `html`.

    Raises:
        StoreError: the folder cannot be written.
    """
    with boundary(StoreError, f"making folder {str(folder)!r}", catch=(OSError,)):
        folder.mkdir(parents=True, exist_ok=True)
    whole = {
        "study": sheet.study,
        "finding": sheet.finding,
        "limits": sheet.limits,
        **figures,
    }
    texts = {
        "json": (f"{sheet.study}.json", msgspec.json.format(msgspec.json.encode(whole)).decode()),
        "markdown": (f"{sheet.study}.md", markdown(sheet)),
        "html": (f"{sheet.study}.html", page(sheet, charts)),
    }
    for table in sheet.tables:
        texts[f"csv-{table.name}"] = (f"{sheet.study}-{table.name}.csv", _csv(table))
    for name, text in texts.values():
        write_atomic(folder / name, text.encode())
    return {kind: str(folder / name) for kind, (name, _) in texts.items()}


def markdown(sheet: Sheet) -> str:
    """Finding, limits and tables as Markdown; names that come in cannot become markup."""
    parts = [f"# Study: {sheet.study}", *map(_plain, sheet.finding), "## Limits"]
    parts.append("\n".join(f"- {_plain(limit)}" for limit in sheet.limits))
    for table in sheet.tables:
        parts += [f"## {table.name}", _markdown_table(table)]
    return "\n\n".join(parts) + "\n"


def page(sheet: Sheet, charts: Mapping[str, Markup]) -> str:
    """The same as one HTML page; all text is escaped, and the page may load nothing."""
    return _PAGES.get_template("study.html").render(sheet=sheet, charts=charts, text=shown)


def shown(cell: Cell) -> str:
    """A cell for people: three significant digits, a dash for what is not known."""
    if cell is None:
        return "–"
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)


def spread(rate: Rate | None) -> tuple[Cell, Cell, Cell, Cell]:
    """Four cells: value, low, high, n."""
    return (None,) * 4 if rate is None else (rate.value, rate.low, rate.high, rate.n)


def spread_columns(name: str) -> tuple[str, str, str, str]:
    """The header of `spread`."""
    return name, f"{name}_low", f"{name}_high", f"{name}_n"


def said(rate: Rate | None, unit: str = "") -> str:
    """A figure with its interval in a sentence."""
    if rate is None:
        return "unknown"
    return f"{rate.value:.2f}{unit} [{rate.low:.2f}, {rate.high:.2f}]"


def _markdown_table(table: Table) -> str:
    rows: list[Sequence[str]] = [table.columns, ["---"] * len(table.columns)]
    rows += [[_plain(shown(cell)).replace("|", "\\|") for cell in row] for row in table.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _plain(text: str) -> str:
    return html.escape(text, quote=False)


def _csv(table: Table) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(["" if cell is None else cell for cell in row] for row in table.rows)
    return stream.getvalue()
