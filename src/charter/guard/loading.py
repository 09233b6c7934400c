"""From a guard's folder to its classifier and thresholds.

    DIR/
    ├── guard.json      {"kind": KIND, "thresholds": {…}, …}
    └── …               whatever this kind of classifier needs

Owns: `guard.json` and the table of kinds. What else is in the folder is the kind's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from charter.errors import DataError, InputError
from charter.guard import words
from charter.guard.decision import Classifier, Thresholds

FILE = "guard.json"
KINDS: Mapping[str, Callable[[Path], Classifier]] = {"words": words.load}
"""How each kind of guard is loaded from its folder."""
_DEFAULT = Path(__file__).with_name("library") / "default"


class GuardFile(msgspec.Struct, frozen=True):
    """What `guard.json` says. Other fields are for the kind's own loader."""

    kind: str
    thresholds: Thresholds = Thresholds()
    window: int | None = None
    """Characters of a window, where the classifier was calibrated with a certain one."""


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
    """
    folder = _DEFAULT if guard == "default" else Path(guard)
    file = folder / FILE
    if not file.is_file():
        expected = f"a folder with {FILE}, or 'default' where the shipped guard is installed"
        raise InputError(f"{guard!r} holds no guard", field="--guard", expected=expected)
    try:
        said = msgspec.json.decode(file.read_bytes(), type=GuardFile)
    except msgspec.MsgspecError as error:
        raise DataError(str(error), file=file) from error
    loader = KINDS.get(said.kind)
    if loader is None:
        known = " or ".join(sorted(KINDS))
        raise DataError(
            f"{said.kind!r} is no kind of guard", file=file, field="kind", expected=known
        )
    return LoadedGuard(loader(folder), said.thresholds, said.window)
