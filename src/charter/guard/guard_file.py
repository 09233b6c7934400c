"""`guard.json`: reading a kind's card from it, and writing it.

Owns the file's form: `kind`, `thresholds`, `window`, then whatever the kind and those who made it
want to say. Knows no kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from charter.errors import DataError
from charter.guard.decision import Thresholds
from charter.store import write_atomic

FILE = "guard.json"
C = TypeVar("C", bound=msgspec.Struct)


class GuardFile(msgspec.Struct, frozen=True):
    """What `guard.json` says. Other fields are for the kind's own loader."""

    kind: str
    thresholds: Thresholds = Thresholds()
    window: int | None = None
    """Characters of a window, where the classifier was calibrated with a certain one."""


def read(folder: Path, card: type[C]) -> C:
    """The card of some kind.

    Raises:
        DataError: there is none, or it is not one.
    """
    file = folder / FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=card)
    except OSError as error:
        raise DataError("cannot be read", file=file) from error
    except msgspec.MsgspecError as error:
        raise DataError(str(error), file=file) from error


def write(folder: Path, card: msgspec.Struct, **more: Any) -> None:
    """Write a card, and what else is to be said. Atomic."""
    folder.mkdir(parents=True, exist_ok=True)
    _save(folder, {**msgspec.to_builtins(card), **more})


def update(folder: Path, changes: Mapping[str, Any]) -> None:
    """Replace some fields and leave all others as they are. Atomic.

    Raises:
        DataError: there is no such file, or it is no object.
    """
    said = read(folder, GuardFile)  # says what is wrong, if something is
    assert said.kind
    known = msgspec.json.decode((folder / FILE).read_bytes())
    _save(folder, {**known, **{k: msgspec.to_builtins(v) for k, v in changes.items()}})


def _save(folder: Path, said: Mapping[str, Any]) -> None:
    write_atomic(folder / FILE, msgspec.json.format(msgspec.json.encode(said)) + b"\n")
