"""`charter interop inspect`: what a run folder holds, written as logs of Inspect.

OUT/
├── TIME_RUN_MODEL_KEY.json | .eval         the evaluate stage, a log a model
└── TIME_RUN-FOLDER-SUITE_MODEL_KEY.json    every suite of `evaluate --models … --out RUN/FOLDER`

The names are Inspect's own, since it lists a `.json` file only if its name begins with a time.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from charter.errors import DataError, StoreError, boundary
from charter.evaluate.comparison import FILE as COMPARISON
from charter.evaluate.comparison import Comparison
from charter.evaluate.policies import made_by
from charter.evaluate.stage import STAGE
from charter.evaluate.suites.suite import Reading
from charter.interop.inspect_log import (
    Evaluation,
    header_of,
    key_of,
    log_of,
    of_answer,
    of_reading,
    sample_of,
    summary_of,
)
from charter.records import Answer, Measurement, Record
from charter.report.exhibit import slug
from charter.store import MANIFEST, RecordLog, RunFolder, write_atomic

Format = Literal["json", "eval"]
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""What a zip says of its files when their time is no part of their content."""


class Exported(Record, frozen=True):
    """What was written."""

    folder: str
    logs: dict[str, int]
    """File name → samples."""

    def text(self) -> str:
        """For people."""
        listed = "\n".join(f"  {name}  {n} samples" for name, n in self.logs.items())
        return f"{len(self.logs)} logs in {self.folder}; open with: inspect view\n{listed}"


class _Figures(msgspec.Struct, frozen=True):
    measurements: tuple[Measurement, ...] = ()


def export(run: str | Path, out: str | Path, *, kind: Format = "json") -> Exported:
    """Write every evaluation in a run folder as a log.

    Args:
        run: a run folder, or the folder of `charter evaluate --models … --out`.
        out: folder to write to; it is made if need be.
        kind: `json`, or `eval`: the zip that Inspect itself writes.

    Raises:
        DataError: nothing was evaluated there.
        StoreError: a record is damaged, or the disk is full.
    """
    folder, target, written = Path(run), Path(out), {}
    with boundary(StoreError, f"making folder {target}", catch=(OSError,)):
        target.mkdir(parents=True, exist_ok=True)
    for found in (*_stage(folder), *_suites(folder)):
        name = f"{_stem(found)}.{kind}"
        write_atomic(target / name, encoded(found, kind))
        written[name] = len(found.samples)
    if not written:
        raise DataError(
            "holds no evaluation", file=folder, expected="a run whose evaluate stage has finished"
        )
    return Exported(str(target), written)


def _stem(found: Evaluation) -> str:
    """Inspect's pattern `{created}_{task}_{model}_{id}`: the underscores part the fields."""
    time = re.sub("[:+]", "-", found.when)
    return "_".join((time, slug(found.task), slug(found.model), key_of(found)))


def encoded(found: Evaluation, kind: Format) -> bytes:
    """A log as the bytes of a file; the same evaluation gives the same bytes."""
    if kind == "json":
        return msgspec.json.format(msgspec.json.encode(log_of(found))) + b"\n"
    header = header_of(found)
    started = {"version": header["version"], "eval": header["eval"], "plan": header["plan"]}
    parts: dict[str, Any] = {"_journal/start.json": started}
    parts |= {f"samples/{s.prompt.id}_epoch_1.json": sample_of(s, found) for s in found.samples}
    parts["summaries.json"] = [summary_of(s, found) for s in found.samples]
    return _zipped({**parts, "header.json": header})


def _zipped(parts: Mapping[str, Any]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, tree in parts.items():
            info = zipfile.ZipInfo(name, _FIRST_DAY)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, msgspec.json.encode(tree))
    return stream.getvalue()


def _stage(run: Path) -> Iterator[Evaluation]:
    """The evaluate stage, a model at a time."""
    manifests = RunFolder(run).manifests()
    if STAGE not in manifests:
        return
    answers: dict[str, list[Answer]] = {}
    for answer in RecordLog(run / STAGE / "records.jsonl", Answer):
        answers.setdefault(answer.model, []).append(answer)
    figures = _read(run / "summary.json", _Figures)
    notes = {
        "run": run.name,
        "scorers": manifests[STAGE].notes.get("scorers", {}),
        "labelled_or_rewarded": [*made_by(manifests)],
    }
    for model, own in answers.items():
        measured = [f for f in (figures.measurements if figures else ()) if f.model == model]
        when = _when(run / STAGE / MANIFEST)
        samples = [of_answer(a) for a in own]
        yield Evaluation(run.name, model, samples, measured, when, notes)


def _suites(run: Path) -> Iterator[Evaluation]:
    """Every suite of every comparison in the folder or one below it."""
    for folder in (run, *(p for p in sorted(run.iterdir()) if p.is_dir())):
        found = _read(folder / COMPARISON, Comparison)
        for suite in found.suites if found else ():
            task = suite.suite if folder == run else f"{folder.name} {suite.suite}"
            notes = {"about": suite.about, "source": suite.source, "scorers": found.scorers}
            rows: dict[str, list[Reading]] = {}
            for reading in RecordLog(folder / f"{suite.suite}.jsonl", Reading):
                rows.setdefault(reading.model, []).append(reading)
            for model, own in rows.items():
                yield _suite(f"{run.name} {task}", model, own, suite.measurements, notes, folder)


def _suite(
    task: str,
    model: str,
    readings: Sequence[Reading],
    figures: Sequence[Measurement],
    notes: Mapping[str, Any],
    folder: Path,
) -> Evaluation:
    own = [f for f in figures if f.model == model]
    samples = [of_reading(r) for r in readings]
    return Evaluation(task, model, samples, own, _when(folder / COMPARISON), notes)


def _when(file: Path) -> str:
    """When an evaluation ended: its figures were written last."""
    return datetime.fromtimestamp(int(file.stat().st_mtime), UTC).isoformat()


def _read(path: Path, type_: type[Any]) -> Any:
    if not path.exists():
        return None
    with boundary(StoreError, f"reading {path}", catch=(OSError, msgspec.MsgspecError)):
        return msgspec.json.decode(path.read_bytes(), type=type_)
