"""Model calls already made, by digest of the request: nothing is paid for twice.

SQLite in WAL mode, so several processes may share one file, and one lock, so several threads may
share one `CallCache`. A batch is written in one transaction: either all of its answers are
remembered or none, which keeps batches, and so rounding, identical when a killed run is resumed.
A call that failed is never remembered.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from charter.errors import StoreError, boundary
from charter.records import Completion, Model, Request, digest

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS calls (key TEXT PRIMARY KEY, answer BLOB) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS spent "
    "(model TEXT PRIMARY KEY, read INTEGER, written INTEGER) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS prefix_hits (model TEXT PRIMARY KEY, tokens INTEGER) WITHOUT ROWID",
)
_ADD = (
    "INSERT INTO spent VALUES (?, ?, ?) ON CONFLICT (model) DO UPDATE "
    "SET read = read + excluded.read, written = written + excluded.written"
)
_ADD_HITS = (
    "INSERT INTO prefix_hits VALUES (?, ?) ON CONFLICT (model) DO UPDATE "
    "SET tokens = tokens + excluded.tokens"
)
_AT_ONCE = 500
"""SQLite limits the number of variables of one statement."""
_ATTEMPTS = 200
"""Tries, 50 ms apart, to open a file that other processes are opening too."""


class CallCache:
    """A table from request digest to encoded answer, and one of the tokens that were paid for."""

    def __init__(self, path: str | Path) -> None:
        self.path, self._lock = Path(path), threading.Lock()
        with boundary(StoreError, f"opening call cache {self.path}", catch=(sqlite3.Error,)):
            self._db = sqlite3.connect(
                self.path, timeout=60, isolation_level=None, check_same_thread=False
            )
            self._switch_to_wal()
            self._db.execute("PRAGMA synchronous=NORMAL")
            for table in _SCHEMA:
                self._db.execute(table)

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
        with self._working("reading"):
            for start in range(0, len(keys), _AT_ONCE):
                part = list(keys[start : start + _AT_ONCE])
                marks = ",".join("?" * len(part))
                query = f"SELECT key, answer FROM calls WHERE key IN ({marks})"
                with closing(self._db.execute(query, part)) as rows:
                    found.update(rows)
        return found

    def put(
        self,
        answers: dict[str, bytes],
        *,
        spent: tuple[str, int, int] | None = None,
        cached: int | None = None,
    ) -> None:
        """Remember answers, all or none. An answer already known is kept as it is.

        Args:
            answers: by key.
            spent: model, tokens read, tokens written: what they cost, added in the same step.
            cached: of the tokens read, those that the server had in its prefix cache, if it says.
        """
        with self._working("writing"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("INSERT OR IGNORE INTO calls VALUES (?, ?)", answers.items())
                if spent is not None:
                    self._db.execute(_ADD, spent)
                    if cached is not None:
                        self._db.execute(_ADD_HITS, (spent[0], cached))
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def spent(self) -> dict[str, tuple[int, int]]:
        """Tokens read and written so far, by model: what was recorded with `put`."""
        with self._working("reading"), closing(self._db.execute("SELECT * FROM spent")) as rows:
            return {model: (read, written) for model, read, written in rows}

    def prefix_hits(self) -> dict[str, int]:
        """Tokens that servers had in their prefix cache, of models whose servers said so."""
        query = "SELECT * FROM prefix_hits"
        with self._working("reading"), closing(self._db.execute(query)) as rows:
            return dict(rows)

    @contextmanager
    def _working(self, doing: str) -> Iterator[None]:
        what = f"{doing} call cache {self.path}"
        with self._lock, boundary(StoreError, what, catch=(sqlite3.Error,)):
            yield

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
        keys = [call_key(self.identity, request) for request in requests]
        known = self.cache.get(keys)
        missing = [index for index, key in enumerate(keys) if key not in known]
        self.hits, self.misses = self.hits + len(keys) - len(missing), self.misses + len(missing)
        found = {key: msgspec.json.decode(known[key], type=Completion) for key in known}
        if missing:
            made = self.model.generate([requests[index] for index in missing])
            fresh = {keys[index]: one for index, one in zip(missing, made, strict=True)}
            self.cache.put(
                {k: msgspec.json.encode(c) for k, c in fresh.items() if c.finish != "error"}
            )
            found.update(fresh)
        return [found[key] for key in keys]


def call_key(identity: str, request: Request) -> str:
    """Key of a call for text."""
    return digest([identity, request], length=32)
