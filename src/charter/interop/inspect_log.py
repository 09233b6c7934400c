"""Evaluations as logs of Inspect (inspect_ai, log format 2): pure data, one log a model.

Owns the names of the format. Needs no Inspect: the format is plain JSON, and `inspect view` or
`inspect_ai.log.read_eval_log` read what this writes. A reading that is missing is left out of a
sample's scores and counted as unscored, never written as 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from charter import __version__
from charter.evaluate.suites.suite import Reading
from charter.records import Answer, Measurement, Message, Origin, Prompt, Sampling, digest

Tree = dict[str, Any]
_FORMAT = 2
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FIGURES = "charter"
"""The scorer under whose name a run's own measurements stand, with their intervals."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One prompt, its answer, and what was read in it. `None` is unscored."""

    prompt: Prompt
    text: str
    scores: Mapping[str, float | None]
    choices: tuple[str, ...] = ()
    right: int | None = None
    tokens: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One model on one task.

    Attributes:
        task: name of the task.
        model: as charter names it; the log says `charter/MODEL`.
        samples: in the order of the prompts.
        figures: measured on them.
        when: of the evaluation, ISO 8601 with an offset.
        notes: of the run: scorers, recipe, constitution.
    """

    task: str
    model: str
    samples: Sequence[Sample]
    figures: Sequence[Measurement]
    when: str
    notes: Mapping[str, Any]


def of_answer(answer: Answer) -> Sample:
    """A record of the evaluate stage."""
    return Sample(
        answer.prompt, answer.text, answer.scores, tokens=answer.tokens, origin=answer.origin
    )


def of_reading(reading: Reading) -> Sample:
    """A line of `charter evaluate --models`: choices are right (1) or wrong (0)."""
    item = reading.item
    scores = dict(reading.scores)
    if item.right is not None:
        for way, chosen in reading.choices.items():
            scores[way] = None if chosen is None else float(chosen == item.right)
    return Sample(
        item.prompt, reading.text, scores, item.options, item.right, reading.tokens, item.facts
    )


def log_of(found: Evaluation) -> Tree:
    """The whole log, samples and all, as it stands in a `.json` file."""
    return {**header_of(found), "samples": [sample_of(s, found) for s in found.samples]}


def key_of(found: Evaluation) -> str:
    """What identifies a log. No dash stands in it: Inspect cuts the id in a file's name at one."""
    return digest([found.task, found.model, found.when, [s.prompt.id for s in found.samples]])


def header_of(found: Evaluation) -> Tree:
    """The log without its samples."""
    ids, key = [s.prompt.id for s in found.samples], key_of(found)
    return {
        "version": _FORMAT,
        "status": "success",
        "eval": {
            "eval_id": f"eval-{key}",
            "run_id": f"run-{key}",
            "created": found.when,
            "task": found.task,
            "task_id": key,
            "dataset": {
                "name": found.task,
                "samples": len(ids),
                "sample_ids": ids,
                "shuffled": False,
            },
            "model": _named(found),
            "config": {},
            "packages": {"charter-cai": __version__},
            "metadata": dict(found.notes),
        },
        "plan": {"name": "plan", "steps": [{"solver": "generate", "params": {}}], "config": {}},
        "results": {
            "total_samples": len(ids),
            "completed_samples": len(ids),
            "scores": [*_means(found.samples), *_figures(found.figures)],
        },
        "stats": {"started_at": found.when, "completed_at": found.when},
    }


def sample_of(sample: Sample, found: Evaluation) -> Tree:
    """One sample."""
    said = [_message(m) for m in sample.prompt.messages]
    answer = {"role": "assistant", "content": sample.text, "source": "generate"}
    known = {name: value for name, value in sample.scores.items() if value is not None}
    return {
        "id": sample.prompt.id,
        "epoch": 1,
        "input": said,
        "target": "" if sample.right is None else _LETTERS[sample.right],
        **({"choices": [*sample.choices]} if sample.choices else {}),
        "messages": [*said, answer],
        "output": {
            "model": _named(found),
            "choices": [{"message": answer, "stop_reason": "stop"}],
            "completion": sample.text,
        },
        "scores": {name: {"value": value, "answer": sample.text} for name, value in known.items()},
        "metadata": _metadata(sample),
    }


def summary_of(sample: Sample, found: Evaluation) -> Tree:
    """The line of a sample in the list that viewers show first."""
    whole = sample_of(sample, found)
    kept = ("id", "epoch", "input", "target", "metadata")
    scores = {name: {"value": score["value"]} for name, score in whole["scores"].items()}
    return {**{name: whole[name] for name in kept}, "scores": scores, "completed": True}


def _named(found: Evaluation) -> str:
    return f"charter/{found.model}"


def _message(message: Message) -> Tree:
    return {"role": message.role, "content": message.content}


def _metadata(sample: Sample) -> Tree:
    prompt, origin = sample.prompt, sample.origin
    found: Tree = {"kind": prompt.kind, "category": prompt.category, "tokens": sample.tokens}
    found |= {name: value for name, value in sample.facts.items() if name not in found}
    if origin is not None:
        found["made_by"] = origin.model
        found["seed"] = str(origin.seed)  # 63 bits: more than a viewer's numbers hold
        sampling: Sampling | None = origin.sampling
        found["sampling"] = None if sampling is None else msgspec.to_builtins(sampling)
    return found


def _means(samples: Sequence[Sample]) -> list[Tree]:
    """Every scorer's mean, with how many samples it read."""
    found = []
    for name in dict.fromkeys(name for s in samples for name in s.scores):
        own = [s.scores[name] for s in samples if name in s.scores]
        known = [value for value in own if value is not None]
        metrics = {"mean": _metric("mean", sum(known) / len(known), {})} if known else {}
        found.append(_score(name, metrics, len(known), len(own) - len(known)))
    return found


def _figures(figures: Sequence[Measurement]) -> list[Tree]:
    """The run's own measurements; interval, n and unscored stand in each metric's metadata."""
    metrics = {
        f.metric: _metric(
            f.metric,
            f.value,
            {"low": f.low, "high": f.high, "n": f.n, "unscored": f.unscored},
        )
        for f in figures
    }
    if not metrics:
        return []
    most = max(figures, key=lambda f: f.n)
    return [_score(_FIGURES, metrics, most.n, most.unscored)]


def _metric(name: str, value: float, about: Tree) -> Tree:
    return {"name": name, "value": value, "params": {}, "metadata": about}


def _score(name: str, metrics: Tree, scored: int, unscored: int) -> Tree:
    return {
        "name": name,
        "scorer": name,
        "scored_samples": scored,
        "unscored_samples": unscored,
        "params": {},
        "metrics": metrics,
    }
