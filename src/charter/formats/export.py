"""From a run folder to a file of another tool, with a count of what could not go along.

Owns which stage a format is made of, and what is left out: abstentions, by their reason, and ties
where a format has no place for them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from datasets import Features, Value

from charter.constitution.document import Constitution
from charter.errors import DataError
from charter.formats import rows
from charter.formats.annotated_pairs import encode
from charter.formats.files import write_dataset, write_jsonl, write_parquet, write_pieces
from charter.formats.labels_as_pairs import METADATA, annotators, pair
from charter.records import Demonstration, Labelled, Record, Verdict
from charter.store import Manifest, StageFolder

LABELS, DEMONSTRATIONS = "feedback", "sft_data"
FORMATS = ("trl", "hf", "openrlhf", "verl", "icai", "sft")
_TEXT, _NUMBER, _FLAG = Value("string"), Value("float64"), Value("bool")
_CHAT = [{"role": _TEXT, "content": _TEXT}]
_PREFERENCES = {
    **dict.fromkeys(("prompt", "chosen", "rejected"), _CHAT),
    "p": _NUMBER,
    "tie": _FLAG,
    **dict.fromkeys(("chosen_is", "id", "kind", "judge", "record"), _TEXT),
}
_VERL = {
    "data_source": _TEXT,
    "prompt": _CHAT,
    "ability": _TEXT,
    "reward_model": {"style": _TEXT, "ground_truth": _TEXT},
    "extra_info": {
        "split": _TEXT,
        "index": Value("int64"),
        **dict.fromkeys(("id", "kind", "category", "chosen", "rejected"), _TEXT),
        "p": _NUMBER,
        "tie": _FLAG,
    },
}


class Exported(Record, frozen=True):
    """What an export wrote.

    Attributes:
        format: one of `FORMATS`.
        path: the file or folder.
        rows: how many records stand in it.
        ties: how many of them are ties.
        left_out: how many records do not, by reason: `tie`, or why the judge abstained.
    """

    format: str
    path: str
    rows: int
    ties: int
    left_out: dict[str, int]

    def text(self) -> str:
        """One line for people."""
        reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(self.left_out.items()))
        ties = f", {self.ties} of them ties" if self.ties else ""
        return f"{self.path}: {self.rows} rows{ties}; left out: {reasons or 'none'}"


def export(run: str | Path, format: str, out: str | Path) -> Exported:
    """Write the labels of a run, or with format `sft` its demonstrations, for another tool.

    Args:
        run: a run folder whose labelling (or demonstrations) has finished.
        format: one of `FORMATS`.
        out: a file, which is replaced; with `hf` a new folder. With `verl` the ending decides
            between parquet and JSON lines.

    Raises:
        DataError: the stage has not finished, or the format is not known.
        StoreError: it cannot be written.
    """
    if format not in FORMATS:
        raise DataError(f"unknown format {format!r}", field="format", expected=", ".join(FORMATS))
    return _Export(Path(run), format, Path(out)).write()


class _Export:
    """One export: streams the records of a stage and counts them on the way."""

    def __init__(self, run: Path, format: str, out: Path) -> None:
        self.run, self.format, self.out = run, format, out
        self.rows = self.ties = 0
        self.left_out: Counter[str] = Counter()

    def write(self) -> Exported:
        writers: dict[str, Callable[[], None]] = {
            "trl": lambda: write_jsonl(self.out, map(rows.preference, self._verdicts())),
            "hf": self._hf,
            "openrlhf": lambda: write_jsonl(
                self.out, map(rows.openrlhf, self._verdicts(ties=False))
            ),
            "verl": self._verl,
            "icai": self._icai,
            "sft": lambda: write_jsonl(self.out, map(rows.demonstration, self._demonstrations())),
        }
        # Before any file is touched, and not within the machinery of another library.
        self._finished(DEMONSTRATIONS if self.format == "sft" else LABELS)
        writers[self.format]()
        return Exported(self.format, str(self.out), self.rows, self.ties, dict(self.left_out))

    def _hf(self) -> None:
        found = map(rows.preference, self._verdicts())
        write_dataset(self.out, found, Features(_PREFERENCES))

    def _verl(self) -> None:
        found = (rows.verl(record, i) for i, record in enumerate(self._verdicts()))
        if self.out.suffix == ".parquet":
            write_parquet(self.out, found, Features(_VERL))
        else:
            write_jsonl(self.out, found)

    def _icai(self) -> None:
        manifest = self._finished(LABELS)
        judge = str(manifest.notes.get("statistics", {}).get("judge", "unknown"))
        known = annotators(self._constitution(), judge)
        metadata = {
            "description": f"Labels of the charter run {self.run.name}",
            "dataset_name": self.run.name,
            "default_annotator": next(iter(known)),
            "available_metadata_keys_per_comparison": list(METADATA),
        }
        pairs = (pair(record, known) for record in self._verdicts())
        write_pieces(self.out, encode(metadata, known, pairs))

    def _verdicts(self, *, ties: bool = True) -> Iterator[Labelled]:
        for record in self._records(LABELS, Labelled):
            if not isinstance(record.label, Verdict):
                self.left_out[record.label.reason] += 1
                continue
            tie = record.label.p_a == 0.5
            if tie and not ties:
                self.left_out["tie"] += 1
                continue
            self.ties += tie
            self.rows += 1
            yield record

    def _demonstrations(self) -> Iterator[Demonstration]:
        for record in self._records(DEMONSTRATIONS, Demonstration):
            self.rows += 1
            yield record

    def _records(self, stage: str, type_: Any) -> Iterable[Any]:
        return StageFolder(self.run / stage, stage, "").log(type_)

    def _finished(self, stage: str) -> Manifest:
        manifest = StageFolder(self.run / stage, stage, "").manifest
        if manifest is None:
            expected = f"a run folder in which stage {stage!r} has finished"
            raise DataError("nothing to export", file=self.run / stage, expected=expected)
        return manifest

    def _constitution(self) -> Constitution:
        file = self.run / "constitution.json"
        if not file.exists():
            raise DataError("not a run folder", file=self.run, expected="a constitution.json in it")
        return msgspec.json.decode(file.read_bytes(), type=Constitution)
