"""What a run folder holds, as the report reads it: streamed, and any part may be absent.

Owns where things lie in a run and how they are decoded. Knows nothing of what is said about them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from charter.constitution.document import Constitution
from charter.errors import DataError, StoreError, boundary
from charter.records import Dropped
from charter.store import DROPPED, Manifest, RecordLog, StageFolder

T = TypeVar("T")
_UNREADABLE = (OSError, msgspec.MsgspecError, UnicodeDecodeError)


class Figure(msgspec.Struct, frozen=True):
    """One measurement of the summary. A figure that could not be computed is null there."""

    model: str
    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    unscored: int = 0


class Summary(msgspec.Struct, frozen=True):
    """The part of `summary.json` that is reported; later fields do no harm."""

    constitution_digest: str = ""
    measurements: tuple[Figure, ...] = ()


class StageFiles:
    """One stage's folder, finished or not, or not there at all."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        self._folder = StageFolder(path, path.name, "")

    @property
    def state(self) -> str:
        """`done`, `unfinished` (records but no manifest) or `not run`."""
        if self.manifest is not None:
            return "done"
        return "unfinished" if self.path.is_dir() else "not run"

    @cached_property
    def manifest(self) -> Manifest | None:
        """The manifest, if the stage has finished.

        Raises:
            StoreError: it is damaged.
        """
        return self._folder.manifest

    @property
    def notes(self) -> dict[str, Any]:
        """What the stage wrote about itself; empty until it has finished."""
        return {} if self.manifest is None else self.manifest.notes

    def records(self, type_: type[T]) -> Iterator[T]:
        """Its records, one at a time, also those of a stage that is still at work."""
        return iter(self._folder.log(type_))

    def curve(self) -> Iterator[dict[str, Any]]:
        """Its training curve, a logged step at a time."""
        return iter(RecordLog(self.path / "curve.jsonl", dict[str, Any]))

    def dropped(self) -> dict[str, int]:
        """How much it left out, by reason."""
        if self.manifest is not None:
            return self.manifest.dropped
        return dict(Counter(record.reason for record in self._folder.log(Dropped, DROPPED)))


class RunFiles:
    """A run folder, opened for reading only.

    Raises:
        DataError: there is no such folder.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise DataError("no such run folder", file=path, expected="a folder made by charter")
        self.path = path

    def stage(self, name: str) -> StageFiles:
        """The folder of a stage, whether or not it exists."""
        return StageFiles(self.path / name)

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """The resolved recipe; empty if it was not written."""
        return self._json("recipe.json", dict[str, Any]) or {}

    @cached_property
    def constitution(self) -> Constitution | None:
        """The document in force."""
        return self._json("constitution.json", Constitution)

    @cached_property
    def summary(self) -> Summary | None:
        """The figures of a run that reached its end."""
        return self._json("summary.json", Summary)

    def _json(self, name: str, type_: type[T]) -> T | None:
        file = self.path / name
        if not file.exists():
            return None
        with boundary(StoreError, f"reading {file}", catch=_UNREADABLE):
            return msgspec.json.decode(file.read_bytes(), type=type_)
