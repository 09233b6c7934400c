"""The ids a resumed stage has already dealt with, in flat memory.

A million ids in a Python set are 150 MB. Here they lie in SQLite's own temporary file, which is
deleted with the connection; the answers are exact, unlike those of a table of short hashes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing

_AT_ONCE = 500
"""SQLite limits the number of variables of one statement."""


class Done:
    """A set of ids that is added to once and then asked. To be closed after use."""

    def __init__(self, ids: Iterable[str]) -> None:
        # An empty name is a private file that SQLite keeps in its cache until it is large.
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("CREATE TABLE done (id TEXT PRIMARY KEY) WITHOUT ROWID")
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR IGNORE INTO done VALUES (?)", ((id,) for id in ids))
        self._db.execute("COMMIT")
        with closing(self._db.execute("SELECT EXISTS (SELECT 1 FROM done)")) as rows:
            self._any = bool(rows.fetchone()[0])

    def among(self, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that have been dealt with."""
        found: set[str] = set()
        for start in range(0, len(ids) if self._any else 0, _AT_ONCE):
            part = list(ids[start : start + _AT_ONCE])
            marks = ",".join("?" * len(part))
            query = f"SELECT id FROM done WHERE id IN ({marks})"
            with closing(self._db.execute(query, part)) as rows:
                found.update(id for (id,) in rows)
        return found

    def close(self) -> None:
        """Delete the file."""
        self._db.close()
