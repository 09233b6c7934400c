"""The books of a run: which stages ran, how long, what they left out, and what made the records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from markupsafe import Markup

from charter.report.charts import bar
from charter.report.figures import NOTHING, count, duration
from charter.report.files import RunFiles, StageFiles
from charter.report.metrics import STAGES, TWIN_STAGES, stage_name
from charter.report.tallies import Sources
from charter.store import Manifest


@dataclass(frozen=True, slots=True)
class StageLine:
    """One stage: how far it came, what it kept, its time, the digests of its files."""

    name: str
    state: str
    kept: str
    dropped: str
    seconds: str
    seconds_bar: Markup
    key: str
    files: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class DropLine:
    """How much a stage left out for one reason."""

    stage: str
    reason: str
    n: str
    bar: Markup


@dataclass(frozen=True, slots=True)
class Ledger:
    """The bookkeeping sections."""

    stages: list[StageLine]
    drops: list[DropLine]
    total_seconds: str
    recipe: str

    @property
    def missing(self) -> list[StageLine]:
        """Stages that did not finish."""
        return [stage for stage in self.stages if stage.state != "done"]


@dataclass(frozen=True, slots=True)
class SourceLine:
    """What made the records of one kind."""

    records: str
    models: list[str]
    constitutions: list[str]
    templates: list[str]


def ledger(files: RunFiles) -> Ledger:
    """The books, for whatever part of the run is there."""
    second = [name for name in TWIN_STAGES if files.stage(name).state != "not run"]
    stages = {name: files.stage(name) for name in (*STAGES, *second)}
    seconds = {name: stage.manifest.seconds for name, stage in stages.items() if stage.manifest}
    longest = max(seconds.values(), default=0.0)
    return Ledger(
        [_stage_line(stage, longest) for stage in stages.values()],
        _drops(stages),
        duration(sum(seconds.values())) if seconds else NOTHING,
        pretty(files.recipe),
    )


def source_lines(sources: dict[str, Sources]) -> list[SourceLine]:
    """Origins by kind of record; kinds without records are left out."""
    return [
        SourceLine(name, list(s.models), list(s.constitutions), list(s.templates))
        for name, s in sources.items()
        if s.models or s.constitutions or s.templates
    ]


def pretty(value: Any) -> str:
    """JSON with line breaks."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() if value else ""


def _stage_line(stage: StageFiles, longest: float) -> StageLine:
    manifest = stage.manifest
    if manifest is None:
        return StageLine(
            stage_name(stage.name), stage.state, NOTHING, NOTHING, NOTHING, Markup(""), "", []
        )
    return StageLine(
        stage_name(stage.name),
        stage.state,
        count(manifest.kept) if manifest.kept else NOTHING,
        count(sum(manifest.dropped.values())),
        duration(manifest.seconds),
        bar(manifest.seconds, longest),
        manifest.key,
        _digests(manifest),
    )


def _digests(manifest: Manifest) -> list[tuple[str, str]]:
    return [(name, entry.sha256[:16]) for name, entry in manifest.files.items()]


def _drops(stages: dict[str, StageFiles]) -> list[DropLine]:
    found = list(_all_drops(stages))
    most = max((n for _, _, n in found), default=0)
    return [DropLine(s, r, count(n), bar(n, most, "bar dropped")) for s, r, n in found]


def _all_drops(stages: dict[str, StageFiles]) -> Iterator[tuple[str, str, int]]:
    for name, stage in stages.items():
        for reason, n in sorted(stage.dropped().items(), key=lambda item: -item[1]):
            yield stage_name(name), reason, n
