"""Figures of suites and of other tools that lie in a run folder, and what was left out of them.

Reads every `comparison.json` (of `charter evaluate --models … --out RUN/NAME`) and every
`measurements.json` (of `charter interop lm-eval`) in the run or one folder below it. Knows no
suite: names and figures are as written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from charter.errors import StoreError, boundary
from charter.report.exhibit import Exhibit
from charter.report.figures import count, one, span
from charter.report.files import Figure, RunFiles
from charter.report.metrics import metric_of, model_name

COMPARISON, MEASUREMENTS = "comparison.json", "measurements.json"
_HARNESS = "lm-evaluation-harness"
_COLUMNS = ("suite", "measure", "model", "value", "low", "high", "n", "unscored")
_UNREADABLE = (OSError, msgspec.MsgspecError, UnicodeDecodeError)


class _Suite(msgspec.Struct, frozen=True):
    suite: str
    measurements: tuple[Figure, ...] = ()


class _Comparison(msgspec.Struct, frozen=True):
    suites: tuple[_Suite, ...] = ()
    harness: tuple[Figure, ...] = ()
    skipped: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class SuiteLine:
    """One figure; `sort` is its value as a number."""

    suite: str
    measure: str
    model: str
    value: str
    interval: str
    n: str
    unscored: int
    sort: float | None


@dataclass(frozen=True, slots=True)
class Suites:
    """The section."""

    lines: list[SuiteLine]
    skipped: list[tuple[str, str]]
    data: Exhibit


def suites(files: RunFiles) -> Suites | None:
    """The section, or None if no suite was put to the run's models.

    Raises:
        StoreError: a file of figures is damaged.
    """
    found: list[tuple[str, Figure]] = []
    skipped: dict[str, str] = {}
    for folder in (files.path, *_folders(files.path)):
        found += _measured(folder / MEASUREMENTS)
        compared = _comparison(folder / COMPARISON)
        found += [(s.suite, figure) for s in compared.suites for figure in s.measurements]
        found += [(_HARNESS, figure) for figure in compared.harness]
        skipped |= compared.skipped
    if not found and not skipped:
        return None
    rows = [(s, f.metric, f.model, f.value, f.low, f.high, f.n, f.unscored) for s, f in found]
    data = Exhibit("suites", _COLUMNS, [*rows])
    return Suites([_line(suite, f) for suite, f in found], [*skipped.items()], data)


def _folders(run: Path) -> Iterator[Path]:
    return (p for p in sorted(run.iterdir()) if p.is_dir() and ".old-" not in p.name)


def _measured(path: Path) -> list[tuple[str, Figure]]:
    if not path.exists():
        return []
    with boundary(StoreError, f"reading {path}", catch=_UNREADABLE):
        found = msgspec.json.decode(path.read_bytes(), type=list[Figure])
    return [(_HARNESS, figure) for figure in found]


def _comparison(path: Path) -> _Comparison:
    if not path.exists():
        return _Comparison()
    with boundary(StoreError, f"reading {path}", catch=_UNREADABLE):
        return msgspec.json.decode(path.read_bytes(), type=_Comparison)


def _line(suite: str, figure: Figure) -> SuiteLine:
    metric = metric_of(figure.metric)
    share = suite == _HARNESS and figure.high is not None and figure.high <= 1.0
    scale = "share" if share else metric.scale
    return SuiteLine(
        suite,
        metric.title,
        model_name(figure.model),
        one(figure.value, scale, figure.n),
        span(figure.low, figure.high, scale, figure.n),
        count(figure.n),
        figure.unscored,
        figure.value,
    )
