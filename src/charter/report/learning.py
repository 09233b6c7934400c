"""What the monitor saw while a policy learnt from a reward, and samples with what each was paid.

Reads `monitor.jsonl` and the rollouts of a stage as plain data: any part may be absent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from charter.records import Rollout
from charter.report.exhibit import Exhibit, curve, drawn
from charter.report.figures import mapping_in, number_in, one
from charter.report.files import RunFiles, StageFiles
from charter.report.metrics import stage_name
from charter.store import RecordLog

LEARNT = ("rl", "rl_rlhf")
_ROWS = "monitor.jsonl"
_SAMPLES = 4
"""Samples shown of the first step, and as many of the last."""
_CURVES = {
    "reward": "reward (the proxy)",
    "held_out": "held-out score",
    "kl": "KL from the start, nats an answer",
    "agreement": "agreement of the two",
    "entropy": "entropy, nats a token",
    "tokens": "tokens of an answer",
    "refusal": "share that declines",
    "distinct_2": "distinct pairs of words",
    "same_closing": "share with the same closing",
}


@dataclass(frozen=True, slots=True)
class Sampled:
    """One sample: its prompt's id, its text, and each part of what it was paid."""

    prompt: str
    text: str
    parts: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Learning:
    """One training on a reward."""

    name: str
    verdict: str
    watched_by: str
    charts: list[Exhibit]
    openings: list[tuple[str, int]]
    closings: list[tuple[str, int]]
    samples: list[tuple[int, list[Sampled]]]


def learnings(files: RunFiles) -> list[Learning]:
    """Every training that a monitor has watched."""
    found = (_learning(files.stage(name)) for name in LEARNT)
    return [learning for learning in found if learning is not None]


def _learning(stage: StageFiles) -> Learning | None:
    rows = list(RecordLog(stage.path / _ROWS, dict[str, Any]))
    if not rows:
        return None
    notes, repeated = mapping_in(stage.notes, "monitor"), mapping_in(rows[-1], "repetition")
    over = f"{stage.name} learning"
    charts = [curve(over, points, "step", _CURVES[n]) for n, points in _by_step(rows).items()]
    charts += [curve(f"{over} kl", p, "√KL", _CURVES[name]) for name, p in _by_distance(rows)]
    return Learning(
        stage_name(stage.name),
        _verdict(notes),
        str(notes.get("held_out") or ""),
        drawn(charts),
        _phrases(repeated, "openings"),
        _phrases(repeated, "closings"),
        _samples(stage.records(Rollout)),
    )


def _by_step(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in _CURVES}
    for row in rows:
        flat = {**mapping_in(row, "repetition"), **row}
        for name, points in found.items():
            value = _value(flat.get(name))
            if value is not None:
                points.append((float(row["step"]), value))
    return {name: points for name, points in found.items() if len(points) > 1}


def _by_distance(
    rows: Iterable[Mapping[str, Any]],
) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Score against distance from the start, as Gao et al. 2022 draw it."""
    kept = list(rows)
    for name in ("reward", "held_out"):
        found = [(_value(row.get("kl")), _value(row.get(name))) for row in kept]
        points = [
            (math.sqrt(max(kl, 0.0)), score)
            for kl, score in found
            if kl is not None and score is not None
        ]
        if len(points) > 1:
            yield name, sorted(points)


def _verdict(notes: Mapping[str, Any]) -> str:
    if not notes.get("held_out"):
        return "No held-out scorer watched: whether the reward was gamed cannot be seen here."
    peak = notes.get("peak_step")
    if notes.get("stopped"):
        return f"The held-out score had peaked: training stopped, and went back to step {peak}."
    steps = one(number_in(notes, "steps"), "number")
    return f"The held-out score had not clearly peaked after {steps} steps."


def _phrases(repeated: Mapping[str, Any], kind: str) -> list[tuple[str, int]]:
    listed = repeated.get(kind)
    found = [p for p in listed if isinstance(p, Mapping)] if isinstance(listed, list) else []
    return [(str(p.get("text", "")), int(p.get("count", 0))) for p in found]


def _samples(rollouts: Iterable[Rollout]) -> list[tuple[int, list[Sampled]]]:
    """The first samples of the first step and of the last one."""
    first: list[Rollout] = []
    last: list[Rollout] = []
    for rollout in rollouts:
        if not first or rollout.step == first[0].step:
            first.append(rollout)
            continue
        if last and rollout.step != last[0].step:
            last = []
        last.append(rollout)
    return [
        (group[0].step, [_sampled(r) for r in group[:_SAMPLES]]) for group in (first, last) if group
    ]


def _sampled(rollout: Rollout) -> Sampled:
    parts = {"paid": rollout.reward, **rollout.components}
    listed = [(name.replace("_", " "), _plain(value)) for name, value in parts.items()]
    return Sampled(rollout.prompt, rollout.completion, listed)


def _plain(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


def _value(found: Any) -> float | None:
    """A number, or the value of a rate."""
    if isinstance(found, Mapping):
        found = found.get("value")
    known = isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)
    return float(found) if known else None
