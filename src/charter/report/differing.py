"""The prompts on which runs differ most, with what each run's model answered.

Two passes over the answers: readings first, which are numbers, then the texts of the few prompts
that are shown. So memory does not grow with the answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from charter.records import Answer, Prompt, digest
from charter.report.answers import Given, given
from charter.report.exhibit import slug
from charter.report.files import RunFiles
from charter.report.metrics import MODELS, model_name
from charter.report.tallies import is_sensitive

MOST = 24
_READING = {"redteam": "compliance"}
"""What is compared, by kind of prompt; on the others, whether the answer declines."""
_OTHERWISE = "refusal"


@dataclass(frozen=True, slots=True)
class Apart:
    """One prompt: every run's answer to it, and how far the readings are apart."""

    prompt: Prompt
    sensitive: bool
    anchor: str
    measure: str
    readings: list[str]
    gap: float
    given: list[Given]


@dataclass(frozen=True, slots=True)
class Differing:
    """The section, for the last model that all runs have."""

    model: str
    shown: list[Apart]
    shared: int


def differing(runs: Mapping[str, RunFiles]) -> Differing | None:
    """The section, or None if the runs share no model or no prompt."""
    readings = {label: _readings(files) for label, files in runs.items()}
    model = _common({model for model, _ in own} for own in readings.values())
    if model is None:
        return None
    keys = [{k for m, k in own if m == model} for own in readings.values()]
    shared = set.intersection(*keys)
    gaps = {k: _gap([own[model, k] for own in readings.values()]) for k in shared}
    chosen = sorted((k for k in shared if gaps[k]), key=lambda k: (-gaps[k], k))[:MOST]
    texts = {label: _texts(files, model, set(chosen)) for label, files in runs.items()}
    found = [_apart(key, gaps[key], texts) for key in chosen]
    return Differing(model_name(model), found, len(shared)) if shared else None


def key_of(prompt: Prompt) -> str:
    """Prompts are the same if their words are, whatever they are called."""
    return digest([prompt.kind, prompt.messages])


def measure_of(prompt: Prompt) -> str:
    """The score that is compared on a prompt."""
    return _READING.get(prompt.kind, _OTHERWISE)


_Readings = dict[tuple[str, str], float | None]


def _readings(files: RunFiles) -> _Readings:
    answers = files.stage("evaluate").records(Answer)
    return {(a.model, key_of(a.prompt)): a.scores.get(measure_of(a.prompt)) for a in answers}


def _common(found: Iterable[set[str]]) -> str | None:
    models = set.intersection(*found)
    order = [*MODELS]
    known = sorted(models, key=lambda m: (order.index(m) if m in order else len(order), m))
    return known[-1] if known else None


def _gap(readings: list[float | None]) -> float:
    """Largest less smallest; what one run has not read cannot be compared."""
    known = [r for r in readings if r is not None]
    return max(known) - min(known) if len(known) == len(readings) else 0.0


def _texts(files: RunFiles, model: str, wanted: set[str]) -> dict[str, Answer]:
    answers = files.stage("evaluate").records(Answer)
    kept = ((key_of(a.prompt), a) for a in answers if a.model == model)
    return {key: answer for key, answer in kept if key in wanted}


def _apart(key: str, gap: float, texts: Mapping[str, Mapping[str, Answer]]) -> Apart:
    own = [(label, answers[key]) for label, answers in texts.items()]
    prompt = own[0][1].prompt
    shown = [given(answer, name=label) for label, answer in own]
    name = measure_of(prompt)
    readings = [f"{answer.scores[name]:.2f}" for _, answer in own]
    anchor = slug("apart", prompt.id)
    return Apart(prompt, is_sensitive(prompt), anchor, name, readings, gap, shown)
