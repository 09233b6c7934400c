"""Model calls already made, by digest of the request: nothing is paid for twice.

SQLite in WAL mode, so several processes may share one file. A batch is written in one transaction:
either all of its answers are remembered or none, which keeps batches, and so rounding, identical
when a killed run is resumed.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from charter.errors import StoreError, boundary
from charter.records import Completion, Model, Request, digest

_SCHEMA = "CREATE TABLE IF NOT EXISTS calls (key TEXT PRIMARY KEY, answer BLOB) WITHOUT ROWID"
_AT_ONCE = 500
"""SQLite limits the number of variables of one statement."""
_ATTEMPTS = 200
"""Tries, 50 ms apart, to open a file that other processes are opening too."""


class CallCache:
    """A table from request digest to encoded answer."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with boundary(StoreError, f"opening call cache {self.path}", catch=(sqlite3.Error,)):
            self._db = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            self._switch_to_wal()
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(_SCHEMA)

    def _switch_to_wal(self) -> None:
        """Change the journal mode, waiting for another process that is doing the same.

        SQLite answers "locked" at once here, whatever its timeout: the switch needs the file alone.
        """
        for attempt in range(_ATTEMPTS):
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(0.05)

    def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The answers that are known, by key."""
        found: dict[str, bytes] = {}
        with boundary(StoreError, f"reading call cache {self.path}", catch=(sqlite3.Error,)):
            for start in range(0, len(keys), _AT_ONCE):
                part = list(keys[start : start + _AT_ONCE])
                marks = ",".join("?" * len(part))
                query = f"SELECT key, answer FROM calls WHERE key IN ({marks})"
                with closing(self._db.execute(query, part)) as rows:
                    found.update(rows)
        return found

    def put(self, answers: dict[str, bytes]) -> None:
        """Remember answers, all or none. An answer already known is kept as it is."""
        with boundary(StoreError, f"writing call cache {self.path}", catch=(sqlite3.Error,)):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("INSERT OR IGNORE INTO calls VALUES (?, ?)", answers.items())
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._db.close()


class CachedModel:
    """A `Model` that asks the cache first. Counts what was found and what was made."""

    def __init__(self, model: Model, cache: CallCache) -> None:
        self.model, self.cache = model, cache
        self.hits = self.misses = 0

    @property
    def identity(self) -> str:
        """The wrapped model's."""
        return self.model.identity

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """Completions in order; only the unknown ones are generated, then remembered."""
        keys = [digest([self.identity, request], length=32) for request in requests]
        known = self.cache.get(keys)
        missing = [index for index, key in enumerate(keys) if key not in known]
        self.hits, self.misses = self.hits + len(keys) - len(missing), self.misses + len(missing)
        if missing:
            made = self.model.generate([requests[index] for index in missing])
            fresh = {
                keys[index]: msgspec.json.encode(completion)
                for index, completion in zip(missing, made, strict=True)
            }
            self.cache.put(fresh)
            known.update(fresh)
        return [msgspec.json.decode(known[key], type=Completion) for key in keys]
