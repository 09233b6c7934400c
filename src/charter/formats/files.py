"""Writing rows to files of other tools: streamed, and whole or not at all.

Knows nothing of what a row means.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
from datasets import Dataset, Features, disable_progress_bars, enable_progress_bars
from datasets.exceptions import DatasetGenerationError
from datasets.utils import are_progress_bars_disabled

from charter.errors import DataError, StoreError, boundary
from charter.store import PARTIAL

Row = dict[str, Any]
_FINGERPRINT = "charter"
"""`datasets` would make one from the time; it names the history of a data set, not its contents."""


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file piece by piece to a neighbour, which then takes its name.

    Raises:
        StoreError: the disk is full or read-only.
    """
    partial = path.with_name(f".{path.name}{PARTIAL}")
    with boundary(StoreError, f"writing {path}", catch=(OSError,)):
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as stream:
            stream.writelines(pieces)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)


def write_jsonl(path: Path, rows: Iterable[Row]) -> None:
    """One JSON object a line, UTF-8."""
    write_pieces(path, (msgspec.json.encode(row) + b"\n" for row in rows))


def write_dataset(path: Path, rows: Iterable[Row], features: Features) -> None:
    """A folder that `datasets.load_from_disk` opens.

    Raises:
        DataError: something is there already, or there are no rows.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise DataError("exists already", file=path, expected="a new or empty folder")

    def save(data: Dataset, folder: Path) -> None:
        data.save_to_disk(folder / "out")
        if path.exists():
            path.rmdir()
        (folder / "out").rename(path)

    _through_arrow(path, rows, features, save)


def write_parquet(path: Path, rows: Iterable[Row], features: Features) -> None:
    """One parquet file.

    Raises:
        DataError: there are no rows.
    """

    def save(data: Dataset, folder: Path) -> None:
        data.to_parquet(folder / "out")
        (folder / "out").replace(path)

    _through_arrow(path, rows, features, save)


def _through_arrow(
    path: Path, rows: Iterable[Row], features: Features, save: Callable[[Dataset, Path], object]
) -> None:
    """Rows go to an Arrow file on disk, which is mapped, not read: memory stays flat."""
    with boundary(StoreError, f"writing {path}", catch=(OSError,)):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _workplace(path) as folder, _no_bars(), _unwrapped():
            data = _on_disk(rows, features, folder / "cache")
            save(data, folder)


def _on_disk(rows: Iterable[Row], features: Features, cache: Path) -> Dataset:
    iterator = iter(rows)
    first = next(iterator, None)
    if first is None:  # of no rows `datasets` writes a folder that it cannot read
        raise DataError("no rows to write", expected="a run with at least one verdict")
    return Dataset.from_generator(
        _again,
        features=features,
        cache_dir=str(cache),
        gen_kwargs={"rows": _Once(chain([first], iterator))},
        fingerprint=_FINGERPRINT,
    )


@contextmanager
def _workplace(path: Path) -> Iterator[Path]:
    """A folder beside the result, so that the result can be renamed into place."""
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=PARTIAL, dir=path.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _no_bars() -> Iterator[None]:
    """The command draws its own progress, and machines read standard error."""
    quiet = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not quiet:
            enable_progress_bars()


@contextmanager
def _unwrapped() -> Iterator[None]:
    """What goes wrong with a record is said as it is, not as a failure of `datasets`."""
    try:
        yield
    except DatasetGenerationError as error:
        raise error.__cause__ or error from error


class _Once:
    """Rows behind a name: `datasets` copies and hashes arguments, which an iterator cannot bear."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = rows

    def __reduce__(self) -> tuple[type[_Once], tuple[tuple[()]]]:
        return _Once, ((),)


def _again(rows: _Once) -> Iterator[Row]:
    yield from rows.rows
