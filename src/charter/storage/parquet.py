"""One shard: a Parquet file on any file system that fsspec knows.

Owns writing it so that it is whole or nobody's: under a name that no reader asks for, then moved,
then measured. A row is a record's JSON, byte for byte as in the log, so that reading a shard gives
what reading the log would have given; other tools read it as a column of JSON.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import fsspec
import pyarrow
from fsspec.implementations.local import LocalFileSystem
from pyarrow import parquet

from charter.errors import StoreError, boundary
from charter.storage.atomic import PARTIAL
from charter.storage.index import Shard

_SCHEMA = pyarrow.schema([("record", pyarrow.string())])
_ROWS = 4096
"""Rows of a row group, which is what writer and reader hold in memory."""


def write(place: str, lines: Iterable[bytes]) -> Shard:
    """Write records as a shard.

    Args:
        place: path or URL of the shard. What lies there is replaced.
        lines: JSON records, each with its newline.

    Returns:
        the shard under its last name, with what was measured while writing.

    Raises:
        StoreError: the disk is full, the store refuses, or it does not hold what was written.
    """
    # Every cloud's SDK has errors of its own, with no common base.
    with boundary(StoreError, f"writing shard {place}", catch=(Exception,)):
        fs, path = _file_system(place)
        if isinstance(fs, LocalFileSystem):
            # Elsewhere this would make a bucket of a misspelt name.
            fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        with fs.open(path + PARTIAL, "wb") as stream:
            measured = _Measured(stream)
            rows = _write_rows(measured, lines)
        fs.mv(path + PARTIAL, path)
        fs.invalidate_cache()
        if fs.size(path) != measured.bytes:
            raise StoreError(f"shard {place} has {fs.size(path)} bytes, not {measured.bytes}")
    return Shard(path.rpartition("/")[2], rows, measured.bytes, measured.digest())


def read(place: str, shard: Shard) -> Iterator[bytes]:
    """Records of a shard as JSON, one at a time.

    Raises:
        StoreError: it is not there, or not as it was written.
    """
    with boundary(StoreError, f"reading shard {place}", catch=(Exception,)):
        fs, path = _file_system(place)
        if fs.size(path) != shard.bytes:
            raise StoreError(f"shard {place} is damaged: not the {shard.bytes} bytes of its list")
        stream = fs.open(path, "rb")
    with stream, parquet.ParquetFile(stream) as file:
        groups = iter(file.iter_batches(batch_size=_ROWS, columns=["record"]))
        while (rows := _next_rows(groups, place)) is not None:
            yield from rows


def check(place: str, shard: Shard) -> None:
    """Compare a shard with the digest of its list.

    Raises:
        StoreError: it is not there, or not as it was written.
    """
    with boundary(StoreError, f"checking shard {place}", catch=(Exception,)):
        fs, path = _file_system(place)
        with fs.open(path, "rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != shard.sha256:
        raise StoreError(f"shard {place} is damaged: its digest is {found}, not {shard.sha256}")


def _write_rows(stream: Any, lines: Iterable[bytes]) -> int:
    count, iterator = 0, iter(lines)
    with parquet.ParquetWriter(stream, _SCHEMA, compression="zstd") as writer:
        while rows := [line.rstrip(b"\n") for line in islice(iterator, _ROWS)]:
            column = pyarrow.array(rows, pyarrow.binary()).cast(pyarrow.string())
            writer.write_table(pyarrow.table([column], schema=_SCHEMA))
            count += len(rows)
    return count


def _next_rows(groups: Iterator[Any], place: str) -> list[bytes] | None:
    with boundary(StoreError, f"reading shard {place}", catch=(Exception,)):
        batch = next(groups, None)
        if batch is None:
            return None
        rows: list[bytes] = batch.column(0).cast(pyarrow.binary()).to_pylist()
        return rows


def _file_system(place: str) -> tuple[Any, str]:
    fs, path = fsspec.core.url_to_fs(place)
    return fs, str(path)


class _Measured(io.RawIOBase):
    """A stream that is written once, from start to end, and digested on the way."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream, self._state, self.bytes = stream, hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        blob = bytes(data)
        self._stream.write(blob)
        self._state.update(blob)
        self.bytes += len(blob)
        return len(blob)

    def tell(self) -> int:
        return self.bytes

    def digest(self) -> str:
        return self._state.hexdigest()
