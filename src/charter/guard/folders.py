"""Folders of guards: where they lie, what kind they say they are, and the kinds without a model.

    DIR/
    ├── guard.json      {"kind": KIND, "thresholds": {…}, …}
    └── …               whatever this kind of classifier needs

Owns finding and reading a folder through a table of kinds. Knows only kinds that load no model, so
that a server with one of them starts at once and needs no torch; `loading` knows all kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from charter.errors import DataError, InputError
from charter.guard import guard_file, words
from charter.guard.decision import Classifier, Thresholds
from charter.guard.guard_file import FILE, GuardFile

DEFAULT = Path(__file__).with_name("library") / "default"
"""Where the shipped guard lies."""
Kinds = Mapping[str, Callable[[Path], Classifier]]
LIGHT: Kinds = {"words": words.load}
"""Kinds that need no model."""


@dataclass(frozen=True, slots=True)
class LoadedGuard:
    """A guard ready to serve."""

    classifier: Classifier
    thresholds: Thresholds
    window: int | None


def is_light(guard: str) -> bool:
    """Whether a guard needs no model.

    Raises:
        InputError: there is no guard there.
    """
    return guard_file.read(folder_of(guard), GuardFile).kind in LIGHT


def load_as(guard: str, kinds: Kinds = LIGHT) -> LoadedGuard:
    """The guard in a folder, or the shipped one by the name `default`.

    Raises:
        InputError: there is no guard there, or it is of a kind that is not in the table.
        ModelError: a model that it needs is missing, or is not the right one.
    """
    folder = folder_of(guard)
    said = guard_file.read(folder, GuardFile)
    loader = kinds.get(said.kind)
    if loader is None:
        known = " or ".join(sorted(kinds))
        raise DataError(
            f"{said.kind!r} is no kind of guard",
            file=folder / FILE,
            field="kind",
            expected=known,
        )
    return LoadedGuard(loader(folder), said.thresholds, said.window)


def folder_of(guard: str) -> Path:
    """The folder of a guard, or of the shipped one by the name `default`.

    Raises:
        InputError: there is no guard there.
    """
    folder = DEFAULT if guard == "default" else Path(guard)
    if not (folder / FILE).is_file():
        expected = f"a folder with {FILE}, or 'default' where the shipped guard is installed"
        raise InputError(f"{guard!r} holds no guard", field="--guard", expected=expected)
    return folder
