"""The audit log: one JSON line for each exchange, appended and never changed.

Owns: the record, writing and rotating it. Text stands in it as a digest, unless asked otherwise;
credentials never do. A file that grows over its size is renamed to the next free number and kept.
Several processes may share a folder: each record is written under a lock, so lines stay whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from charter.errors import StoreError
from charter.guard.config import Mode, OnError
from charter.guard.decision import Action, Stage
from charter.records import Record
from charter.store import RecordLog

State = Literal["scanned", "blocked", "skipped", "failed_open", "failed_closed"]


class AuditedText(Record, frozen=True):
    """One text of an exchange."""

    sha256: str
    chars: int
    choice: int = 0
    channel: str = "prompt"
    score: float | None = None
    """Highest score; `None` where nothing was scored."""
    text: str | None = None


class AuditRecord(Record, frozen=True):
    """What the guard did with one exchange.

    `state` says what happened: `scanned` (all that left was checked, nothing was stopped),
    `blocked`, `skipped` (turned away or broken off before anything was scored or released),
    `failed_open` and `failed_closed` (the classifier failed; text left unchecked, or did not
    leave). `outcome` is `ok`, `client_gone`, or the kind of fault.
    """

    request: str
    at: str
    """When it began: ISO 8601, UTC."""
    dialect: str
    model: str
    streamed: bool
    mode: Mode
    on_error: OnError
    classifier: str
    state: State
    action: Action | None
    """The verdict. In shadow mode it may be `block` while the state is `scanned`."""
    stage: Stage | None
    clauses: tuple[str, ...]
    outcome: str
    reason: str
    """Why a check failed or was skipped."""
    prompt: AuditedText | None
    answers: tuple[AuditedText, ...]
    withheld: bool
    """Whether turns that were blocked before were taken out of the conversation."""
    unchecked_run: int
    """Longest run of characters that left unchecked."""
    seconds: float
    first_byte_seconds: float | None


class AuditLog:
    """Appends records to `FOLDER/audit.jsonl`.

    Args:
        folder: made if absent.
        rotate_bytes: size at which a file is set aside.

    Raises:
        StoreError: the folder cannot be made.
    """

    def __init__(self, folder: Path, rotate_bytes: int = 64 << 20) -> None:
        self.path, self.rotate_bytes = folder / "audit.jsonl", rotate_bytes
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / "audit.lock").open("ab")
            with self._alone():
                self._open()
        except OSError as error:
            raise StoreError(f"opening the audit log {self.path} failed: {error}") from error
        self._next = len(list(folder.glob("audit-*.jsonl"))) + 1
        self.healthy = True
        """Whether the last record could be written."""

    def append(self, record: AuditRecord) -> None:
        """Write one record. A full disk is noted in `healthy`, it does not end the exchange."""
        try:
            with self._alone():
                if self._set_aside():
                    self._reopen()
                if os.fstat(self._stream.fileno()).st_size >= self.rotate_bytes:
                    self._rotate()
                self._write(msgspec.json.encode(record) + b"\n")
            self.healthy = True
        except (OSError, ValueError):
            self.healthy = False

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        self._lock.close()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes that write here out; the system lets go of a dead one's lock."""
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _open(self) -> None:
        """Unbuffered: a record that could not be written must not come out later."""
        RecordLog(self.path, AuditRecord).repair()
        self._stream: io.FileIO = self.path.open("ab", buffering=0)
        self._inode = os.fstat(self._stream.fileno()).st_ino

    def _set_aside(self) -> bool:
        """Whether another process has renamed the file that we have open."""
        try:
            return self.path.stat().st_ino != self._inode
        except FileNotFoundError:
            return True

    def _reopen(self) -> None:
        self._stream.close()
        self._open()

    def _write(self, line: bytes) -> None:
        start = os.fstat(self._stream.fileno()).st_size
        if self._stream.write(line) != len(line):
            self._stream.truncate(start)
            raise OSError("only a part of the record could be written")

    def _rotate(self) -> None:
        target = self.path.with_name(f"audit-{self._next:06}.jsonl")
        while target.exists():
            self._next += 1
            target = self.path.with_name(f"audit-{self._next:06}.jsonl")
        self.path.rename(target)
        self._reopen()


def channel_name(channel: tuple[str | int, ...]) -> str:
    """A channel as one word, such as `content` or `tool_calls.0`."""
    return ".".join(map(str, channel))
