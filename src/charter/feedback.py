"""Stage: AI feedback. Pairs sampled from a model, labelled against the constitution (Bai §4.1).

Two steps with a folder each, so that labels can be made again without sampling again: `sample`
writes `Comparison`s, `run` writes `Labelled` records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from charter.constitution.document import Constitution
from charter.engine.local import Progress, process, silent
from charter.judging.config import JudgeConfig
from charter.judging.earlier import EarlierLabels
from charter.judging.ensemble import Ensemble, Mode
from charter.judging.label_statistics import LabelStatistics
from charter.judging.labeling import label
from charter.judging.relabel import digests
from charter.judging.self_preference import Likelihood, self_preference
from charter.prompts.cleaning import usable
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
from charter.seeds import derive
from charter.statistics import Rate
from charter.store import Manifest, StageFolder

STAGE, PAIRS_STAGE = "feedback", "pairs"
HUMAN = "human"


class FeedbackConfig(Record, frozen=True):
    """The `feedback:` block of a recipe."""

    judge: str = "multiple-choice"
    """A judge under `judges:`, or a kind of judge that needs no settings. `readout` is the trained
    judge that ships for the embedded model, on which zero-shot prompting is at chance;
    `multiple-choice` asks the judge model for a letter; `human` takes the labels that people gave
    in the file of `pairs`, which makes the run RLHF."""
    model: str = ""
    """Judge model of judges that name none; the start model if empty."""
    pairs: str = ""
    """File of pairs to label, instead of sampling them; what people said there is not looked at,
    unless the judge is of kind `human`."""
    pairs_limit: int = 0
    """Pairs taken from that file, the first ones; 0 for all."""
    pairs_per_prompt: int = 1
    """Comparisons a prompt; each samples two fresh answers."""
    principles: Mode = "one"
    """`one` drawn per comparison (the paper), the mean of `all`, their `weighted` mean, or the
    weighted mean of those that share a `tag` with the prompt (its category)."""
    harmful_tags: tuple[str, ...] = ("harm", "manner")
    """Principles that judge answers to red-team prompts carry one of these tags."""
    harmless_tags: tuple[str, ...] = ("helpful", "honest")
    """Principles that judge answers to every other prompt carry one of these tags."""
    answer: Sampling = Sampling(max_tokens=64, temperature=1.0)
    self_preference: int = 32
    """Verdicts on which self-preference is measured, at two passes over an answer each; 0: none."""

    def about_pairs(self) -> list[Any]:
        """The settings that the pairs depend on: other labels need no other pairs."""
        return [self.pairs, self.pairs_limit, self.pairs_per_prompt, self.answer]

    def with_people(self, judges: Mapping[str, JudgeConfig]) -> dict[str, JudgeConfig]:
        """A recipe's judges, and `human`: the people who labelled the pairs, if a file has any."""
        people = {HUMAN: JudgeConfig("human", file=self.pairs)} if self.pairs else {}
        return {**people, **judges}


@dataclass(frozen=True, slots=True)
class PairsDeps:
    """What sampling pairs needs."""

    policy: Model
    folder: StageFolder
    seed: int = 0
    progress: Progress = silent


@dataclass(frozen=True, slots=True)
class FeedbackDeps:
    """What labelling needs. `about_judge` is copied into the manifest (card, calibration).

    With `earlier` labels, only principles that have changed since are asked (see `relabel`).
    `likelihood` is that of the judge's own model, for self-preference.
    """

    judge: Judge
    folder: StageFolder
    seed: int = 0
    about_judge: dict[str, Any] | None = None
    progress: Progress = silent
    earlier: EarlierLabels | None = None
    likelihood: Likelihood | None = None


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


def gather(
    comparisons: Iterable[Comparison], held_out: Iterable[Prompt], *, deps: PairsDeps
) -> Manifest:
    """Take comparisons that somebody else made; those on prompts of the evaluation are dropped."""
    evaluated = {prompt.messages for prompt in held_out}

    def work(group: Sequence[Comparison]) -> list[Comparison | Dropped]:
        return [
            Dropped(c.id, PAIRS_STAGE, "held_out_prompt") if c.prompt.messages in evaluated else c
            for c in group
        ]

    return process(
        deps.folder,
        comparisons,
        work,
        record_type=Comparison,
        identify=lambda item: item.id,
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
    pool = Ensemble(
        constitution,
        config.principles,
        harmful_tags=config.harmful_tags,
        harmless_tags=config.harmless_tags,
        seed=deps.seed,
    )
    statistics, earlier = LabelStatistics(), deps.earlier
    edit = earlier and earlier.edit(constitution.principles)

    def work(group: Sequence[Comparison]) -> list[Labelled]:
        drawn = [pool.draw(c) for c in group]
        if earlier and edit:
            labels = earlier.relabel(edit, deps.judge, group, drawn, pool.before)
        else:
            labels = label(deps.judge, group, drawn, before=pool.before)
        return [Labelled(c, verdict) for c, verdict in zip(group, labels, strict=True)]

    def notes() -> dict[str, Any]:
        for record in deps.folder.log(Labelled):
            statistics.add(record)
        about = deps.about_judge or {}
        summary = {
            **statistics.summary(),
            "self_preference": _self_preference(config, deps),
            "judge": deps.judge.identity,
            # On people's labels that the judge was not trained on; labels made here have no truth.
            "calibration": about.get("calibration", []),
        }
        found: dict[str, Any] = {
            "statistics": summary,
            "judge": about,
            "principles": digests(constitution.principles),
        }
        if earlier and edit:
            changes = earlier.changes(edit, deps.folder.log(Labelled), pool.draw)
            found |= {"relabel": changes, "relabelled_from": earlier.about.run}
        return found

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


def _self_preference(config: FeedbackConfig, deps: FeedbackDeps) -> Rate | None:
    if deps.likelihood is None or not config.self_preference:
        return None
    records = deps.folder.log(Labelled)
    return self_preference(records, deps.likelihood, limit=config.self_preference)


def _comparisons(
    group: Sequence[_Slot], config: FeedbackConfig, deps: PairsDeps
) -> list[Comparison | Dropped]:
    requests = [
        Request(slot.prompt.messages, config.answer, derive(deps.seed, PAIRS_STAGE, slot.id, side))
        for slot in group
        for side in "ab"
    ]
    made = deps.policy.generate(requests)
    texts = [usable(one) for one in made]
    return [
        _comparison(slot, texts[2 * i], texts[2 * i + 1], config, deps)
        for i, slot in enumerate(group)
    ]


def _comparison(
    slot: _Slot,
    first: tuple[str, str],
    second: tuple[str, str],
    config: FeedbackConfig,
    deps: PairsDeps,
) -> Comparison | Dropped:
    (a, problem), (b, other) = first, second
    problem = "same_answer" if a == b != "" else problem or other
    if problem:
        return Dropped(slot.id, PAIRS_STAGE, f"pair_{problem}", f"{a[:100]} | {b[:100]}")
    origin = Origin(PAIRS_STAGE, deps.policy.identity, sampling=config.answer, seed=deps.seed)
    return Comparison(slot.id, slot.prompt, a, b, origin)
