"""Tasks of a recipe: named blocks that are laid over it, so that one file serves several.

Owns which task is picked and how its blocks are laid over. Knows none of the keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from charter.errors import RecipeError

_PICK = "task="


def lay_over(plain: dict[str, Any], overrides: Sequence[str], file: object) -> dict[str, Any]:
    """The recipe with the blocks of its task in place of its own, key by key.

    Args:
        plain: a recipe as parsed; `task` names one of the entries of `tasks`.
        overrides: of the command line; the last `task=NAME` picks another task.
        file: named in errors.

    Raises:
        RecipeError: there is no such task.
    """
    picked = [o.removeprefix(_PICK) for o in overrides if o.startswith(_PICK)]
    name = picked[-1] if picked else plain.get("task")
    if not name:
        return plain
    tasks = plain.get("tasks")
    known = tasks if isinstance(tasks, Mapping) else {}
    if not isinstance(known.get(name), Mapping):
        expected = f"one of {', '.join(map(str, known))}" if known else "a recipe with tasks"
        raise RecipeError(f"no task {name!r}", file=str(file), field="task", expected=expected)
    return {**_merged(plain, known[name]), "task": name}


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Blocks are merged; anything else is replaced."""
    found = dict(base)
    for key, value in over.items():
        below = found.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        found[key] = _merged(below, value) if both and below is not None else value
    return found
