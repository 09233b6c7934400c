"""Every kind of guard, and how it is loaded from its folder.

Owns the table of kinds; importing it imports torch. What a folder looks like, and the kinds that
need no model, are `folders`'.
"""

from __future__ import annotations

from pathlib import Path

from charter.guard import cascade, readout_guard, sequence
from charter.guard.decision import Classifier
from charter.guard.folders import DEFAULT, LIGHT, Kinds, LoadedGuard, folder_of, load_as

__all__ = ["DEFAULT", "KINDS", "LoadedGuard", "folder_of", "load"]


def load(guard: str) -> LoadedGuard:
    """The guard in a folder, or the shipped one by the name `default`.

    Raises:
        InputError: there is no guard there, or it is of a kind that is not known.
        ModelError: a model that it needs is missing, or is not the right one.
    """
    return load_as(guard, KINDS)


def _cascade(folder: Path) -> Classifier:
    return cascade.load(folder, lambda member: load(str(member)).classifier)


KINDS: Kinds = {
    **LIGHT,
    readout_guard.KIND: readout_guard.load,
    sequence.KIND: sequence.load,
    "cascade": _cascade,
}
"""How each kind of guard is loaded from its folder."""
