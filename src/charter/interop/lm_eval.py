"""`charter interop lm-eval`: results of EleutherAI's lm-evaluation-harness, kept with a run.

The harness may have run elsewhere, on a machine of its own. Its result file is read, and the
figures are written to `RUN/lm_eval/measurements.json`, where the report finds them.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from charter.errors import DataError, StoreError, boundary
from charter.evaluate.harness import read_results
from charter.records import Measurement, Record
from charter.report.suites import MEASUREMENTS
from charter.store import write_atomic

FOLDER = "lm_eval"


class Kept(Record, frozen=True):
    """What was read, and where it lies now."""

    file: str
    measurements: list[Measurement]


def keep(results: str | Path, run: str | Path, model: str) -> Kept:
    """Read a result file and keep its figures with a run.

    Args:
        results: `results_*.json`, as the harness writes it.
        run: the run folder.
        model: the run's model that was measured: `base`, `sl_cai`, `rl_cai`.

    Raises:
        DataError: the file is no result of the harness, or holds no figure with a standard error.
        StoreError: the figures cannot be written.
    """
    found = [*read_results(_tree(Path(results)), model)]
    if not found:
        raise DataError("holds no figure with a standard error", file=results)
    path = Path(run) / FOLDER / MEASUREMENTS
    with boundary(StoreError, f"making folder {path.parent}", catch=(OSError,)):
        path.parent.mkdir(parents=True, exist_ok=True)
    new = {(f.model, f.metric) for f in found}
    every = [f for f in _kept(path) if (f.model, f.metric) not in new] + found
    write_atomic(path, msgspec.json.format(msgspec.json.encode(every)) + b"\n")
    return Kept(str(path), found)


def _tree(path: Path) -> dict[str, object]:
    expected = "results_*.json of lm-evaluation-harness"
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError("cannot be read as JSON", file=path, expected=expected) from error
    if not isinstance(tree, dict) or not isinstance(tree.get("results"), dict):
        raise DataError("has no results", file=path, field="results", expected=expected)
    return tree


def _kept(path: Path) -> list[Measurement]:
    if not path.exists():
        return []
    with boundary(StoreError, f"reading {path}", catch=(OSError, msgspec.MsgspecError)):
        return msgspec.json.decode(path.read_bytes(), type=list[Measurement])
