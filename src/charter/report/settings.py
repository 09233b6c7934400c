"""What the compared runs are: how each names itself, and where recipes and scorers differ.

Knows no figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from charter.report.figures import NOTHING, mapping_in
from charter.report.files import RunFiles

_ABSENT = "not set"
_PLACE = ("run",)
"""Settings that say where a run lies, not what it is."""


@dataclass(frozen=True, slots=True)
class RunColumn:
    """One run, as the page names it."""

    label: str
    path: str
    facts: list[tuple[str, str]]
    complete: bool


def column(label: str, files: RunFiles) -> RunColumn:
    """What a run says about itself."""
    recipe, constitution = files.recipe, files.constitution
    document = NOTHING
    if constitution is not None:
        document = f"{constitution.name} {constitution.version}, {constitution.digest}"
    given = [("Recipe", "name"), ("Model", "model"), ("Seed", "seed")]
    facts = [(title, str(recipe.get(key, NOTHING))) for title, key in given]
    return RunColumn(
        label, str(files.path), [*facts, ("Constitution", document)], files.summary is not None
    )


def recipe_differences(runs: Mapping[str, RunFiles]) -> list[tuple[str, list[str]]]:
    """Settings in which the runs differ, by dotted name, with each run's value."""
    flat = [_flat(files.recipe) for files in runs.values()]
    names = dict.fromkeys(name for recipe in flat for name in recipe if name not in _PLACE)
    rows = [(name, [recipe.get(name, _ABSENT) for recipe in flat]) for name in names]
    differ = [(name, values) for name, values in rows if len(set(values)) > 1]
    # What an older recipe did not have yet says less than a value that was changed.
    return sorted(differ, key=lambda row: _ABSENT in row[1])


def scorers_differ(runs: Mapping[str, RunFiles]) -> list[str]:
    """Scorers whose identity is not the same in all runs that name them."""
    named = [mapping_in(files.stage("evaluate").notes, "scorers") for files in runs.values()]
    roles = dict.fromkeys(role for scorers in named for role in scorers)
    return [role for role in roles if len({str(s[role]) for s in named if role in s}) > 1]


def _flat(tree: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Leaves by dotted name; a list is one leaf."""
    found: dict[str, str] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = value if isinstance(value, str) else _encoded(value)
    return found


def _encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()
