"""Settings of judges, as they stand under `judges:` in a recipe.

Owns what a judge may be told, and what makes no sense together. Builds nothing (see `making`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from charter.errors import InputError
from charter.judging.chain_of_thought import BAI_CLAMP
from charter.judging.menu import FormatName
from charter.prompts.shots import judged_shots
from charter.records import Record, Sampling

Kind = Literal[
    "readout", "multiple-choice", "chain-of-thought", "rating", "pointwise", "votes", "panel",
    "human",
]  # fmt: skip
BUILT_IN: tuple[Kind, ...] = (
    "readout", "multiple-choice", "chain-of-thought", "rating", "pointwise", "votes",
)  # fmt: skip
"""Kinds that need no settings, and so can be named without an entry under `judges:`."""
NO_CALIBRATION = "none"
Problem = tuple[str, str, str]
"""Field, what is wrong with it, what was expected."""
_COMMON = {"kind", "calibration"}
_USES: dict[Kind, set[str]] = {
    "readout": {"model", "path", "temperature"},
    "multiple-choice": {"model", "format", "shots", "temperature", "min_mass"},
    "chain-of-thought": {"model", "format", "shots", "clamp", "sampling", "min_mass", "seed"},
    "rating": {"model", "temperature", "min_mass"},
    "pointwise": {"model", "temperature", "min_mass"},
    "votes": {"model", "samples", "sampling", "shots", "seed"},
    "panel": {"members", "quorum"},
    "human": {"file"},
}


class JudgeConfig(Record, frozen=True):
    """One judge. Which settings a kind takes is said in the page on judging."""

    kind: Kind
    model: str = ""
    """Judge model; `feedback.model`, and then the start model, if empty."""
    format: FormatName = "letters"
    """How the choice is put: `letters`, `bai` ("(A)", "(B)") or `lee` (numbered)."""
    shots: int = 0
    """Answered examples in front."""
    clamp: tuple[float, float] | None = BAI_CLAMP
    """Range into which the readings of a chain-of-thought judge are cut; null for none."""
    samples: int = 5
    """Verdicts that a voting judge samples, for each order."""
    sampling: Sampling | None = None
    """How rationales and votes are sampled; each kind has its own default."""
    members: dict[str, float] = {}
    """Judges of a panel by name, with their weights."""
    quorum: int = 0
    """Members of a panel that must answer; 0 means more than half."""
    file: str = ""
    """Labels of people: HH-RLHF, TRL preference or annotated pairs."""
    path: str = ""
    """Folder of a readout of your own; the shipped one if empty."""
    temperature: float = 1.0
    """Divides log-odds, or differences of ratings."""
    calibration: str = ""
    """File that a calibration was saved in. For a readout with a `path`, `calibration.json` beside
    it is used if this is empty; `none` turns that off."""
    min_mass: float = 0.05
    """Probability that the options must have together; with less, the judge abstains."""
    seed: int = 0
    """Of rationales and votes."""

    def problems(self) -> Iterator[Problem]:
        """What is wrong with the settings, by field."""
        yield from self._out_of_range()
        for field in sorted(_changed(self) - _USES[self.kind] - _COMMON):
            takes = ", ".join(sorted(_USES[self.kind]))
            yield field, f"means nothing to a judge of kind {self.kind!r}", f"one of {takes}"
        if self.kind == "panel" and not self.members:
            yield "members", "is missing", "names of judges with their weights"
        if self.kind == "human" and not self.file:
            yield "file", "is missing", "a file of pairs that people have labelled"

    def _out_of_range(self) -> Iterator[Problem]:
        most = len(judged_shots())
        if not 0 <= self.shots <= most:
            yield "shots", f"is {self.shots!r}", f"0 to {most}"
        if self.clamp and not 0 <= self.clamp[0] < 0.5 < self.clamp[1] <= 1:
            yield "clamp", f"is {list(self.clamp)!r}", "[low, high] around 0.5, or null"
        if self.samples < 1:
            yield "samples", f"is {self.samples!r}", "at least 1"
        if not self.temperature > 0:
            yield "temperature", f"is {self.temperature!r}", "a number above 0"
        if not 0 <= self.min_mass < 1:
            yield "min_mass", f"is {self.min_mass!r}", "at least 0, below 1"
        if not 0 <= self.quorum <= len(self.members):
            yield "quorum", f"is {self.quorum!r}", "0 to the number of members"
        for name, weight in self.members.items():
            if not weight > 0:
                yield f"members.{name}", f"is {weight!r}", "a weight above 0"

    def files(self) -> Iterator[tuple[str, str]]:
        """Fields that name a file or a folder here, with its path."""
        named = {"file": self.file, "path": self.path, "calibration": self.calibration}
        for field, file in named.items():
            if file and not file.startswith("hf:") and file != NO_CALIBRATION:
                yield field, file

    def check(self) -> None:
        """Raise `InputError` for the first thing that is wrong."""
        for field, problem, expected in self.problems():
            raise InputError(problem, field=field, expected=expected)


def resolve(name: str, judges: Mapping[str, JudgeConfig]) -> JudgeConfig:
    """The judge of a name: one under `judges:`, or a kind that needs no settings.

    Raises:
        InputError: there is none of that name.
    """
    if name in judges:
        return judges[name]
    if name in BUILT_IN:
        return msgspec.convert({"kind": name}, JudgeConfig)
    known = ", ".join([*judges, *BUILT_IN])
    missing = "a judge of kind {!r} needs settings: give it a name under judges"
    problem = missing.format(name) if name in ("panel", "human") else f"no judge {name!r}"
    raise InputError(problem, field="judge", expected=f"one of {known}")


def check_all(judges: Mapping[str, JudgeConfig]) -> Iterator[Problem]:
    """Problems of all judges of a recipe, fields dotted from `judges`."""
    for name, config in judges.items():
        if name in BUILT_IN:
            yield f"judges.{name}", "is the name of a kind", "another name"
        for field, problem, expected in config.problems():
            yield f"judges.{name}.{field}", problem, expected
        for member in config.members:
            if member not in judges and member not in BUILT_IN:
                known = ", ".join([*judges, *BUILT_IN])
                yield f"judges.{name}.members.{member}", "no such judge", f"one of {known}"
        if name in seated(name, judges):
            yield f"judges.{name}.members", "is a member of itself", "no panel within itself"


def seated(name: str, judges: Mapping[str, JudgeConfig]) -> set[str]:
    """Every judge that sits on a panel, also by way of another panel."""
    found: set[str] = set()
    todo = list(judges[name].members) if name in judges else []
    while todo:
        member = todo.pop()
        if member not in found:
            found.add(member)
            todo += judges[member].members if member in judges else []
    return found


def _changed(config: JudgeConfig) -> set[str]:
    """Fields that do not have their default."""
    plain: dict[str, Any] = msgspec.structs.asdict(config)
    defaults = msgspec.structs.asdict(JudgeConfig(config.kind))
    return {field for field, value in plain.items() if value != defaults[field]}
