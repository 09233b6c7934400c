"""The RLAIF policy and its RLHF twin, head to head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from charter.report.figures import Shown, mapping_in, number_in, rate_in, shown_rate
from charter.report.files import StageFiles
from charter.report.metrics import model_name

_KINDS = {
    "harmless": "Less harmful, on red-team prompts",
    "helpful": "More helpful, on everyday prompts",
}


@dataclass(frozen=True, slots=True)
class Match:
    """How often the first model beats the second, as counted and at equal lengths."""

    title: str
    raw: Shown
    controlled: Shown
    ties: Shown
    unscored: int


@dataclass(frozen=True, slots=True)
class Twin:
    """The section."""

    one: str
    other: str
    labelled_by: list[tuple[str, str]]
    matches: list[Match]


def twin(stage: StageFiles) -> Twin | None:
    """The section, or None for a run without a second arm."""
    models = stage.notes.get("models")
    if not isinstance(models, list) or len(models) != 2:
        return None
    one, other = (model_name(str(m)) for m in models)
    judges = mapping_in(stage.notes, "labelled_by")
    matches = [_match(title, mapping_in(stage.notes, key)) for key, title in _KINDS.items()]
    listed = [(model_name(name), str(judge)) for name, judge in judges.items()]
    return Twin(one, other, listed, [match for match in matches if match is not None])


def _match(title: str, found: Mapping[str, Any]) -> Match | None:
    if not found:
        return None
    raw, controlled, ties = (
        shown_rate(rate_in(found.get(name))) for name in ("raw", "controlled", "ties")
    )
    return Match(title, raw, controlled, ties, int(number_in(found, "unscored") or 0))
