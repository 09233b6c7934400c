"""Which shards a log of records has: a small file beside the log, replaced whole.

Owns what "listed" means. A shard that no index names does not exist for a reader, whatever lies at
its place: it was being written when something died. Knows nothing of Parquet or of networks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from charter.errors import StoreError
from charter.records import Record

SUFFIX = ".shards.json"


class StorageConfig(Record, frozen=True):
    """The `storage:` block of a recipe: where records go that are too many for one file."""

    url: str = ""
    """Where shards go: a folder, `s3://bucket/path`, `gs://bucket/path`; empty for the stage's own
    folder. The last records of a stage, and everything else, stay in the run folder."""
    shard_mb: Annotated[float, Meta(gt=0)] = 1024.0
    """A stage's records become a Parquet shard each time so many megabytes have gathered."""


class Shard(Record, frozen=True):
    """One Parquet file that is whole."""

    name: str
    rows: int
    bytes: int
    sha256: str


class Index(Record, frozen=True):
    """The shards of one log, in order. An empty `base` is the folder of the index itself."""

    base: str = ""
    shards: tuple[Shard, ...] = ()

    def place(self, shard: Shard, folder: Path) -> str:
        """Path or URL of a shard, for an index that lies in `folder`."""
        return f"{self.base or folder}/{shard.name}"


def index_of(log: Path) -> Path:
    """Where the index of a log lies, if it has one."""
    return log.with_name(log.stem + SUFFIX)


def read_index(log: Path) -> Index:
    """The index of a log; an empty one for a log without shards.

    Raises:
        StoreError: it is damaged.
    """
    file = index_of(log)
    if not file.exists():
        return Index()
    try:
        return msgspec.json.decode(file.read_bytes(), type=Index)
    except msgspec.MsgspecError as error:
        raise StoreError(f"{file}: damaged list of shards: {error}") from error
