"""Stage: AI feedback. Pairs sampled from a model, labelled against the constitution (Bai §4.1).

Two steps with a folder each, so that labels can be made again without sampling again: `sample`
writes `Comparison`s, `run` writes `Labelled` records.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from charter.constitution.document import Constitution
from charter.constitution.drawing import draw, tagged
from charter.engine.local import Progress, process, silent
from charter.judging.label_statistics import LabelStatistics
from charter.judging.labeling import label
from charter.prompts.cleaning import clean, fault
from charter.records import (
    Comparison,
    Dropped,
    Judge,
    Labelled,
    Model,
    Origin,
    Prompt,
    Record,
    Request,
    Sampling,
)
from charter.seeds import derive, draws
from charter.store import Manifest, StageFolder

STAGE, PAIRS_STAGE = "feedback", "pairs"


class FeedbackConfig(Record, frozen=True):
    """The `feedback:` block of a recipe."""

    judge: Literal["readout", "multiple-choice"] = "multiple-choice"
    """`readout` is the trained judge that ships for the embedded model, on which zero-shot
    prompting is at chance; `multiple-choice` asks the judge model for a letter."""
    model: str = ""
    """Judge model; the start model if empty."""
    pairs_per_prompt: int = 1
    """Comparisons a prompt; each samples two fresh answers."""
    principles: Literal["one", "all"] = "one"
    """`one` principle drawn per comparison (the paper), or the weighted mean of `all`."""
    harmful_tags: tuple[str, ...] = ("harm", "manner")
    """Principles that judge answers to red-team prompts carry one of these tags."""
    harmless_tags: tuple[str, ...] = ("helpful", "honest")
    """Principles that judge answers to every other prompt carry one of these tags."""
    answer: Sampling = Sampling(max_tokens=64, temperature=1.0)


@dataclass(frozen=True, slots=True)
class PairsDeps:
    """What sampling pairs needs."""

    policy: Model
    folder: StageFolder
    seed: int = 0
    progress: Progress = silent


@dataclass(frozen=True, slots=True)
class FeedbackDeps:
    """What labelling needs. `about_judge` is copied into the manifest (card, calibration)."""

    judge: Judge
    folder: StageFolder
    seed: int = 0
    about_judge: dict[str, Any] | None = None
    progress: Progress = silent


def sample(prompts: Sequence[Prompt], config: FeedbackConfig, *, deps: PairsDeps) -> Manifest:
    """Sample two answers a comparison from the policy; pairs of equal answers are dropped."""
    items = [_Slot(p, number) for p in prompts for number in range(config.pairs_per_prompt)]
    return process(
        deps.folder,
        items,
        lambda group: _comparisons(group, config, deps),
        record_type=Comparison,
        identify=lambda item: item.id,
        total=len(items),
        progress=deps.progress,
    )


def run(
    comparisons: Iterable[Comparison],
    constitution: Constitution,
    config: FeedbackConfig,
    *,
    deps: FeedbackDeps,
    total: int | None = None,
) -> Manifest:
    """Label comparisons: both orders, averaged, soft; abstentions are kept as records."""
    pool = _Pool(constitution, config, deps.seed)
    statistics = LabelStatistics()

    def work(group: Sequence[Comparison]) -> list[Labelled]:
        labels = label(deps.judge, group, [pool.draw(c) for c in group])
        return [Labelled(c, verdict) for c, verdict in zip(group, labels, strict=True)]

    def notes() -> dict[str, Any]:
        for record in deps.folder.log(Labelled):
            statistics.add(record)
        about = deps.about_judge or {}
        summary = {
            **statistics.summary(),
            "judge": deps.judge.identity,
            # On people's labels that the judge was not trained on; labels made here have no truth.
            "calibration": about.get("calibration", []),
        }
        return {"statistics": summary, "judge": about}

    return process(
        deps.folder,
        comparisons,
        work,
        record_type=Labelled,
        identify=_id,
        total=total,
        progress=deps.progress,
        notes=notes,
    )


def _id(item: Comparison | Labelled) -> str:
    return item.id if isinstance(item, Comparison) else item.comparison.id


@dataclass(frozen=True, slots=True)
class _Slot:
    prompt: Prompt
    number: int

    @property
    def id(self) -> str:
        return f"{self.prompt.id}/pair{self.number}"


class _Pool:
    """Draws the principles of a comparison from those that fit its kind of prompt."""

    def __init__(self, constitution: Constitution, config: FeedbackConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self.harmful = tagged(constitution, config.harmful_tags)
        self.harmless = tagged(constitution, config.harmless_tags)

    def draw(self, comparison: Comparison) -> list[tuple[str, float]]:
        fitting = self.harmful if comparison.prompt.kind == "redteam" else self.harmless
        if self.config.principles == "all":
            return [(p.id, p.weight) for p in fitting]
        return [(draw(fitting, draws(self.seed, STAGE, comparison.id)).id, 1.0)]


def _comparisons(
    group: Sequence[_Slot], config: FeedbackConfig, deps: PairsDeps
) -> list[Comparison | Dropped]:
    requests = [
        Request(slot.prompt.messages, config.answer, derive(deps.seed, PAIRS_STAGE, slot.id, side))
        for slot in group
        for side in "ab"
    ]
    made = deps.policy.generate(requests)
    texts = [clean(m.text, finished=m.finish == "stop") for m in made]
    return [
        _comparison(slot, texts[2 * i], texts[2 * i + 1], config, deps)
        for i, slot in enumerate(group)
    ]


def _comparison(
    slot: _Slot, a: str, b: str, config: FeedbackConfig, deps: PairsDeps
) -> Comparison | Dropped:
    problem = "same_answer" if a == b else fault(a) or fault(b)
    if problem:
        return Dropped(slot.id, PAIRS_STAGE, f"pair_{problem}", f"{a[:100]} | {b[:100]}")
    origin = Origin(PAIRS_STAGE, deps.policy.identity, sampling=config.answer, seed=deps.seed)
    return Comparison(slot.id, slot.prompt, a, b, origin)
