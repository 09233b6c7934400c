"""Run folders: where records go, how a killed run resumes, and how a finished stage is known.

    RUN/
    ├── .lock                 held while a process works on the run
    ├── calls.sqlite          every model call already paid for (see `cache`)
    ├── <stage>/
    │   ├── key               digest of what the stage was asked to do; written first
    │   ├── records.jsonl     what it kept, appended and flushed as it is made
    │   ├── dropped.jsonl     what it did not keep, with the reason
    │   ├── records.shards.json   where earlier records lie, if there are very many (see `storage`)
    │   └── manifest.json     digests, counts, seconds; written last, by rename
    ├── summary.json
    └── report.html

A stage folder without a manifest is unfinished and is resumed. One whose key no longer fits is
moved aside, never deleted: a changed recipe must not destroy what was paid for.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec

from charter.errors import StoreError, boundary
from charter.records import Dropped, Record, digest
from charter.storage import shards
from charter.storage.atomic import PARTIAL as PARTIAL
from charter.storage.atomic import write_atomic as write_atomic
from charter.storage.index import StorageConfig, read_index

RECORDS, DROPPED, MANIFEST, KEY = "records.jsonl", "dropped.jsonl", "manifest.json", "key"
R = TypeVar("R")


class FileEntry(Record, frozen=True):
    """One file of a finished stage."""

    sha256: str
    bytes: int


class Manifest(Record, frozen=True):
    """What a finished stage holds. Its presence is what "finished" means."""

    stage: str
    key: str
    files: dict[str, FileEntry]
    kept: int
    dropped: dict[str, int]
    seconds: float
    notes: dict[str, Any] = {}

    @property
    def sha256_of_records(self) -> str:
        """Digest of the kept records: of their file, or of the digests of file and shards."""
        found = {n: e.sha256 for n, e in self.files.items() if shards.holds(RECORDS, n)}
        return digest(found) if found.keys() - {RECORDS} else found[RECORDS]


class RecordLog:
    """An append-only JSONL file of records of one type.

    Opening it for append cuts off a last line that a kill left half-written.

    Args:
        path: of the file; shards that an index beside it lists hold the records before it.
        type_: of the records.
        shard_bytes: the file becomes a shard when it has so many bytes; 0 for never.
        base: where shards go; empty for beside the file.
    """

    def __init__(self, path: Path, type_: type[R], *, shard_bytes: int = 0, base: str = "") -> None:
        self.path, self._decoder = path, msgspec.json.Decoder(type_)
        self._encoder = msgspec.json.Encoder()
        self.shard_bytes, self.base = shard_bytes, base

    def __iter__(self) -> Iterator[Any]:
        """Every whole record in the file, one at a time.

        Raises:
            StoreError: a complete line is not such a record.
        """
        for place, line in self.lines():
            try:
                record = self._decoder.decode(line)
            except msgspec.MsgspecError as error:
                raise StoreError(f"{place}: damaged record: {error}") from error
            yield record

    def lines(self) -> Iterator[tuple[str, bytes]]:
        """Every whole record, from shards and file: where it stands, and its JSON on one line.

        Raises:
            StoreError: a shard is missing or damaged.
        """
        for place, line in shards.lines(self.path):
            yield place, line.rstrip(b"\n")
        for number, line in enumerate(_lines(self.path), start=1):
            # A line without its end is still being written, or was cut short by a kill.
            if not line.endswith(b"\n"):
                return
            yield f"{self.path}:{number}", line.rstrip(b"\n")

    def append(self, records: Iterable[Any]) -> None:
        """Write records, flush, and ask the disk to keep them.

        Raises:
            StoreError: the disk is full or read-only, or a shard cannot be written.
        """
        blob = b"".join(self._encoder.encode(record) + b"\n" for record in records)
        with (
            boundary(StoreError, f"writing {self.path}", catch=(OSError,)),
            self.path.open("ab") as stream,
        ):
            stream.write(blob)
            stream.flush()
            os.fsync(stream.fileno())
            size = stream.tell()
        if 0 < self.shard_bytes <= size:
            shards.seal(self.path, self.base)

    def seal(self) -> None:
        """Put the last records with the others, if there are shards."""
        if read_index(self.path).shards:
            shards.seal(self.path, self.base)

    def repair(self) -> None:
        """Drop an unfinished last line, if there is one, and finish an unfinished shard."""
        shards.complete(self.path, self.base)
        if not self.path.exists():
            return
        with (
            boundary(StoreError, f"repairing {self.path}", catch=(OSError,)),
            self.path.open("rb+") as stream,
        ):
            stream.truncate(_length_of_whole_lines(stream))


class StageFolder:
    """One stage's folder inside a run.

    Args:
        path: the folder.
        stage: its name.
        key: digest of what the stage was asked to do.
        storage: where records go that are too many for one file; None for nowhere.
    """

    def __init__(
        self, path: Path, stage: str, key: str, storage: StorageConfig | None = None
    ) -> None:
        self.path, self.stage, self.key, self.storage = path, stage, key, storage

    @property
    def manifest(self) -> Manifest | None:
        """The manifest, if the stage has finished."""
        file = self.path / MANIFEST
        if not file.exists():
            return None
        try:
            return msgspec.json.decode(file.read_bytes(), type=Manifest)
        except msgspec.MsgspecError as error:
            raise StoreError(f"{file}: damaged manifest: {error}") from error

    def log(self, type_: type[R], name: str = RECORDS) -> RecordLog:
        """A record log in this folder."""
        if self.storage is None:
            return RecordLog(self.path / name, type_)
        # The key is in the place: other work of the same stage must not replace these shards.
        url = self.storage.url.rstrip("/")
        base = f"{url}/{self.path.parent.name}/{self.stage}-{self.key[:8]}" if url else ""
        limit = max(1, int(self.storage.shard_mb * 1e6))
        return RecordLog(self.path / name, type_, shard_bytes=limit, base=base)

    def finish(self, seconds: float, notes: Mapping[str, Any] | None = None) -> Manifest:
        """Digest every file and write the manifest, last and by rename."""
        logs = [self.log(Dropped, RECORDS), self.log(Dropped, DROPPED)]
        for log in logs:
            log.seal()
        files = {
            str(file.relative_to(self.path)): FileEntry(_sha256(file), file.stat().st_size)
            for file in sorted(self.path.rglob("*"))
            if file.is_file() and file.name not in (MANIFEST, KEY) and _is_result(file)
        }
        elsewhere = [shard for log in logs for shard in read_index(log.path).shards]
        # By name alone: the same records are the same stage, wherever they are kept.
        files |= {shard.name: FileEntry(shard.sha256, shard.bytes) for shard in elsewhere}
        dropped = Counter(record.reason for record in self.log(Dropped, DROPPED))
        sharded = sum(shard.rows for shard in read_index(self.path / RECORDS).shards)
        kept = sharded + sum(1 for _ in _lines(self.path / RECORDS))
        manifest = Manifest(
            self.stage, self.key, files, kept, dict(dropped), round(seconds, 3), dict(notes or {})
        )
        write_atomic(self.path / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        return manifest


class RunFolder:
    """A run: one folder, one process at a time.

    Args:
        path: the folder; made if it is not there.
        storage: where its stages' records go when they are too many for one file.
    """

    def __init__(self, path: str | Path, storage: StorageConfig | None = None) -> None:
        self.path, self.storage = Path(path), storage
        with boundary(StoreError, f"making run folder {str(path)!r}", catch=(OSError,)):
            self.path.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run. The lock dies with the process, so a killed run never blocks the next.

        Raises:
            StoreError: another process is working on this run.
        """
        with (
            boundary(StoreError, f"locking run {self.path}", catch=(OSError,)),
            (self.path / ".lock").open("w") as stream,
        ):
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StoreError(f"another process is working on run {self.path}") from error
            yield

    def stage(self, stage: str, asked: Any) -> StageFolder:
        """Open a stage's folder for the work described by `asked` (settings and input digests).

        A folder made for other work is moved aside to `<stage>.old-<key>`.
        """
        key, path = digest(asked), self.path / stage
        with boundary(StoreError, f"opening stage folder {path}", catch=(OSError,)):
            if path.exists() and _key_of(path) != key:
                self.set_aside(stage)
            path.mkdir(exist_ok=True)
            if not (path / KEY).exists():
                write_atomic(path / KEY, key.encode())
        return StageFolder(path, stage, key, self.storage)

    def set_aside(self, stage: str) -> None:
        """Move a stage's folder out of the way, since what it was made from has changed."""
        path = self.path / stage
        if path.exists():
            with boundary(StoreError, f"moving {path} aside", catch=(OSError,)):
                path.rename(_free_name(path, _key_of(path)))

    def fits(self, stage: str, asked: Any) -> bool:
        """Whether a stage's folder exists and was made for the work described by `asked`."""
        path = self.path / stage
        return path.exists() and _key_of(path) == digest(asked)

    def manifests(self) -> dict[str, Manifest]:
        """Manifests of the finished stages, by stage name."""
        found = {}
        for folder in sorted(p for p in self.path.iterdir() if p.is_dir()):
            manifest = StageFolder(folder, folder.name, "").manifest
            if manifest is not None and ".old-" not in folder.name:
                found[folder.name] = manifest
        return found


def _is_result(file: Path) -> bool:
    return file.suffix != PARTIAL and not shards.belongs(file)


def _lines(path: Path) -> Iterator[bytes]:
    if path.exists():
        with path.open("rb") as stream:
            yield from stream


def _length_of_whole_lines(stream: IO[bytes]) -> int:
    """Bytes up to and including the last newline, reading backwards in blocks."""
    position = stream.seek(0, os.SEEK_END)
    while position > 0:
        start = max(0, position - (1 << 16))
        stream.seek(start)
        found = stream.read(position - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        position = start
    return 0


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _key_of(path: Path) -> str:
    file = path / KEY
    return file.read_text() if file.exists() else "unknown"


def _free_name(path: Path, key: str) -> Path:
    base = path.with_name(f"{path.name}.old-{key[:8]}")
    number, free = 1, base
    while free.exists():
        number, free = number + 1, base.with_name(f"{base.name}-{number}")
    return free
