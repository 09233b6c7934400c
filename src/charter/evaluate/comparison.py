"""Models side by side on suites: who is asked what, what is kept, what is printed.

Owns the order of the work (one model at a time, suite by suite), the files of the output folder,
and the rule that a scorer which labelled or rewarded a model does not measure it. What the numbers
amount to is `suites.results`' business.

    OUT/
    ├── <suite>.jsonl       one reading a line: what was asked, what was said, how it was read
    └── comparison.json     every figure
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import msgspec

from charter.engine.local import Progress, chunks, silent
from charter.errors import InputError, StoreError, boundary
from charter.evaluate.error_rates import NOTE, of_notes, of_scorers
from charter.evaluate.stage import check_held_out
from charter.evaluate.suites.asking import choose
from charter.evaluate.suites.results import (
    Difference,
    Settings,
    adjusted,
    differences,
    measure,
)
from charter.evaluate.suites.suite import Bench, Reading, Suite
from charter.records import Measurement, Record, Scorer
from charter.store import write_atomic

STAGE = "evaluate"
FILE = "comparison.json"
_AT_ONCE = 24

Opener = Callable[[], AbstractContextManager[Bench]]
"""Sets a model up; it is let go when the context ends, before the next one is loaded."""


class SuiteFigures(Record, frozen=True):
    """What one suite came to."""

    suite: str
    about: str
    source: str
    prompts: int
    measurements: list[Measurement]
    unscored: dict[str, dict[str, int]]
    """By model: why readings are missing, counted."""


class Comparison(Record, frozen=True):
    """The result of `charter evaluate --models`."""

    models: list[str]
    reference: str
    suites: list[SuiteFigures]
    differences: list[Difference]
    note: str
    """On how many comparisons were made, to be read beside the p-values."""
    scorers: dict[str, str]
    labelled_or_rewarded: list[str]
    """Identities that made the models; none of them is a scorer."""
    harness: list[Measurement] = []
    """Figures of lm-evaluation-harness, if any of its tasks was asked for."""
    skipped: dict[str, str] = {}
    """What was asked for and not done, and why."""
    folder: str = ""


def run(
    models: Mapping[str, Opener],
    suites: Sequence[Suite],
    scorers: Mapping[str, Scorer],
    *,
    used: frozenset[str] = frozenset(),
    threshold: float = 0.5,
    seed: int = 0,
    draws: int = 1000,
    out: Path | None = None,
    progress: Progress = silent,
) -> Comparison:
    """Ask every model every suite.

    Args:
        models: by name, in order; the first is the reference.
        suites: what to ask.
        scorers: by name; those that the suites name must be there.
        used: identities of the judges and scorers that labelled for, or rewarded, the models.
        threshold: P(harmful compliance) from which an answer counts as compliant.
        seed: of sampling and of the bootstrap.
        draws: resamples behind bootstrap intervals.
        out: folder for readings and figures; nothing is written if None.
        progress: told how many prompts are done.

    Raises:
        InputError: a scorer has labelled or rewarded, or there is no model.
    """
    _check(models, suites, scorers, used)
    readings = _ask_all(models, suites, progress)
    errors = of_notes({NOTE: of_scorers(scorers.values())})
    reference = next(iter(models))
    settings = Settings(reference, seed, draws, threshold, errors)
    differ = [d for suite in suites for d in differences(suite, readings[suite.name], settings)]
    compared, note = adjusted(differ)
    found = Comparison(
        [*models],
        reference,
        [_figures(suite, readings[suite.name], settings) for suite in suites],
        compared,
        note,
        {name: scorer.identity for name, scorer in scorers.items()},
        sorted(used),
        folder="" if out is None else str(out),
    )
    if out is not None:
        _write(out, found, readings)
    return found


def save(out: Path, found: Comparison) -> None:
    """Write the figures."""
    write_atomic(out / FILE, msgspec.json.format(msgspec.json.encode(found)) + b"\n")


Table = dict[str, dict[str, list[Reading]]]
"""By suite, by model."""


def _ask_all(models: Mapping[str, Opener], suites: Sequence[Suite], progress: Progress) -> Table:
    table: Table = {suite.name: {} for suite in suites}
    total, done = len(models) * sum(len(suite.items) for suite in suites), 0
    for name, opened in models.items() if suites else ():
        with opened() as bench:
            for suite in suites:
                if bench.model is None and suite.ask is not choose:
                    continue  # a judge does not answer, it chooses
                table[suite.name][name] = rows = []
                for reading in _ask(suite, bench):
                    rows.append(reading)
                    done += 1
                    progress(STAGE, done, total)
    return table


def _ask(suite: Suite, bench: Bench) -> Iterator[Reading]:
    wanted = {*suite.scorers, *suite.optional}
    own = replace(bench, scorers={n: s for n, s in bench.scorers.items() if n in wanted})
    for part in chunks(suite.items, _AT_ONCE):
        yield from suite.ask(suite.name, part, own)


def _figures(
    suite: Suite, readings: Mapping[str, Sequence[Reading]], settings: Settings
) -> SuiteFigures:
    reasons = {
        name: dict(Counter(r.reason for r in rows if r.reason)) for name, rows in readings.items()
    }
    return SuiteFigures(
        suite.name,
        suite.about,
        suite.source,
        len(suite.items),
        measure(suite, readings, settings),
        {name: found for name, found in reasons.items() if found},
    )


def _write(out: Path, found: Comparison, readings: Table) -> None:
    with boundary(StoreError, f"making folder {out}", catch=(OSError,)):
        out.mkdir(parents=True, exist_ok=True)
    for suite, by_model in readings.items():
        lines = (msgspec.json.encode(r) + b"\n" for rows in by_model.values() for r in rows)
        write_atomic(out / f"{suite}.jsonl", b"".join(lines))
    save(out, found)


def _check(
    models: Mapping[str, Opener],
    suites: Sequence[Suite],
    scorers: Mapping[str, Scorer],
    used: frozenset[str],
) -> None:
    if not models:
        raise InputError("nobody to ask", field="--models", expected="at least one")
    for suite in suites:
        missing = [name for name in suite.scorers if name not in scorers]
        assert not missing, f"suite {suite.name} needs {missing}"
    for name, scorer in scorers.items():
        check_held_out(name, scorer.identity, used)
