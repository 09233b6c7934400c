"""From a guard's folder to its classifier and thresholds.

    DIR/
    ├── guard.json      {"kind": KIND, "thresholds": {…}, …}
    └── …               whatever this kind of classifier needs

Owns the table of kinds. What else is in the folder is the kind's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from charter.errors import DataError, InputError
from charter.guard import cascade, guard_file, readout_guard, sequence, words
from charter.guard.decision import Classifier, Thresholds
from charter.guard.guard_file import FILE, GuardFile

DEFAULT = Path(__file__).with_name("library") / "default"
"""Where the shipped guard lies."""


@dataclass(frozen=True, slots=True)
class LoadedGuard:
    """A guard ready to serve."""

    classifier: Classifier
    thresholds: Thresholds
    window: int | None


def load(guard: str) -> LoadedGuard:
    """The guard in a folder, or the shipped one by the name `default`.

    Raises:
        InputError: there is no guard there, or it is of a kind that is not known.
        ModelError: a model that it needs is missing, or is not the right one.
    """
    folder = folder_of(guard)
    said = guard_file.read(folder, GuardFile)
    loader = KINDS.get(said.kind)
    if loader is None:
        known = " or ".join(sorted(KINDS))
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


def _cascade(folder: Path) -> Classifier:
    return cascade.load(folder, lambda member: load(str(member)).classifier)


KINDS: Mapping[str, Callable[[Path], Classifier]] = {
    "words": words.load,
    readout_guard.KIND: readout_guard.load,
    sequence.KIND: sequence.load,
    "cascade": _cascade,
}
"""How each kind of guard is loaded from its folder."""
