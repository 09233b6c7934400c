"""The quick reader of vote files, by Arrow: columns of whole numbers, a block at a time.

It never explains what is wrong. Whatever it does not take at once is `Doubtful`, and the careful
reader (`tables`) then reads the file and says what it holds, or in which line it is broken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv

from charter.collective.tables import Table, is_gzip
from charter.collective.votes import Votes

_BLOCK = 1 << 23
UNSEEN = 2
"""Stands for an empty field in a block of votes."""


class Doubtful(Exception):  # noqa: N818 - not an error: a reason to read the file with more care
    """The quick reader does not vouch for this file."""


def whole_numbers(table: Table, columns: Sequence[str]) -> Iterator[list[npt.NDArray[np.int64]]]:
    """Columns of whole numbers without gaps, as int64, a block at a time.

    Raises:
        Doubtful: a field is empty or something else, or the file is broken.
    """
    for batch in _batches(table, dict.fromkeys(columns, pa.int64())):
        parts = [batch.column(name) for name in columns]
        if any(part.null_count for part in parts):
            raise Doubtful
        yield [part.to_numpy(zero_copy_only=False) for part in parts]


def vote_blocks(
    table: Table, key: str, columns: Sequence[str]
) -> Iterator[tuple[npt.NDArray[np.int64], Votes]]:
    """A key column (n) and the votes beside it (n, len(columns)), `UNSEEN` where a field is empty.

    Raises:
        Doubtful: a field is not a small whole number, or the file is broken.
    """
    types = {key: pa.int64(), **dict.fromkeys(columns, pa.int8())}
    for batch in _batches(table, types):
        keys = batch.column(key)
        if keys.null_count:
            raise Doubtful
        block = np.empty((batch.num_rows, len(columns)), dtype=np.int8)
        for at, name in enumerate(columns):
            block[:, at] = batch.column(name).fill_null(UNSEEN).to_numpy(zero_copy_only=False)
        yield keys.to_numpy(), block


def _batches(table: Table, types: dict[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
    if not table.one_line:
        raise Doubtful
    reading = csv.ReadOptions(
        block_size=_BLOCK, use_threads=False, skip_rows=1, column_names=table.header
    )
    converting = csv.ConvertOptions(
        column_types=types, include_columns=list(types), null_values=[""]
    )
    try:
        with (
            pa.input_stream(str(table.path), compression=_compression(table.path)) as stream,
            csv.open_csv(stream, read_options=reading, convert_options=converting) as reader,
        ):
            yield from reader
    except (pa.ArrowException, OSError) as error:
        raise Doubtful from error


def _compression(path: Path) -> str | None:
    return "gzip" if is_gzip(path) else None
