"""Whole files or none."""

from __future__ import annotations

import os
from pathlib import Path

from charter.errors import StoreError, boundary

PARTIAL = ".partial"
"""Suffix of a file being written; a kill may leave one behind, and it is nobody's result."""


def write_atomic(path: Path, blob: bytes) -> None:
    """Write a whole file or nothing: to a neighbour, flushed, then renamed over.

    Raises:
        StoreError: the disk is full or read-only.
    """
    partial = path.with_name(f".{path.name}{PARTIAL}")
    with boundary(StoreError, f"writing {path}", catch=(OSError,)):
        with partial.open("wb") as stream:
            stream.write(blob)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
