"""From a log that has grown large to shards, and back to its records, across any kill.

    records.jsonl              the last records, appended as they are made
    records-00007.sealed       records on their way into a shard; at most one such file
    records.shards.json        the shards that are whole, in order (`index`)
    records-00000.parquet …    here, or where the `storage:` block says

A log becomes a shard in three steps, each of which is whole or has not happened: it is renamed, the
shard is written and listed, the renamed file is deleted. A sealed file whose number is listed is
left over from the last step, and does not count.

pyarrow and fsspec take a third of a second to import, and most runs have no shard: the module that
needs them is imported by name, with the first shard. That is the single place that does so.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from charter.errors import StoreError, boundary
from charter.storage.atomic import write_atomic
from charter.storage.index import Index, index_of, read_index

_SEALED, _SHARD = ".sealed", ".parquet"


def seal(log: Path, base: str) -> None:
    """Make a log's records a shard, and leave the log empty.

    Args:
        log: the log; its last line is whole.
        base: where its first shard goes; the others follow the first. Empty for beside the log.

    Raises:
        StoreError: a disk is full, or a store refuses. The records stay where they are read.
    """
    if log.exists() and log.stat().st_size:
        complete(log, base)
        with boundary(StoreError, f"sealing {log}", catch=(OSError,)):
            log.rename(log.with_name(f"{log.stem}-{len(read_index(log).shards):05d}{_SEALED}"))
            log.touch()
    complete(log, base)


def complete(log: Path, base: str) -> None:
    """Finish what a kill has left of `seal`. See there."""
    for file, number in _sealed(log):
        index = read_index(log)
        if number >= len(index.shards):
            _add(log, index if index.shards else Index(base), file)
        with boundary(StoreError, f"deleting {file}", catch=(OSError,)):
            # A kill may have fallen between the log's renaming and its new beginning, and a log
            # that is not there is a stage without records to those who look for it.
            log.touch()
            file.unlink()


def lines(log: Path) -> Iterator[tuple[str, bytes]]:
    """Records before the log's own, in order: where each stands (for messages), and its JSON.

    Raises:
        StoreError: a listed shard is missing or damaged.
    """
    index = read_index(log)
    for shard in index.shards:
        place = index.place(shard, log.parent)
        for number, line in enumerate(_parquet().read(place, shard), start=1):
            yield f"{place}:{number}", line
    for file, number in _sealed(log):
        if number >= len(index.shards):
            with file.open("rb") as stream:
                for count, line in enumerate(stream, start=1):
                    yield f"{file}:{count}", line


def check(log: Path) -> None:
    """Compare every listed shard with its digest.

    Raises:
        StoreError: one is missing or damaged.
    """
    index = read_index(log)
    for shard in index.shards:
        _parquet().check(index.place(shard, log.parent), shard)


def belongs(file: Path) -> bool:
    """Whether a file is this module's own account, which says where and not what."""
    return file.suffix == _SEALED or file.name.endswith(".shards.json")


def holds(log: str, name: str) -> bool:
    """Whether a file of that name is the log itself, or one of its shards."""
    shard = name.startswith(f"{log.removesuffix('.jsonl')}-") and name.endswith(_SHARD)
    return name == log or shard


def _add(log: Path, index: Index, file: Path) -> None:
    name = f"{log.stem}-{len(index.shards):05d}{_SHARD}"
    with boundary(StoreError, f"reading {file}", catch=(OSError,)), file.open("rb") as stream:
        shard = _parquet().write(f"{index.base or log.parent}/{name}", stream)
    longer = replace(index, shards=(*index.shards, shard))
    write_atomic(index_of(log), msgspec.json.format(msgspec.json.encode(longer)))


def _sealed(log: Path) -> list[tuple[Path, int]]:
    found = sorted(log.parent.glob(f"{log.stem}-*{_SEALED}"))
    return [(file, int(file.stem.rpartition("-")[2])) for file in found]


def _parquet() -> Any:
    return importlib.import_module("charter.storage.parquet")
