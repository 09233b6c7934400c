"""Stage: supervised fine-tuning on revisions and helpful answers (Bai et al. 2022, §3.2).

Owns which texts are imitated: the revisions of every round, and the start model's own answers to
harmless prompts, which keep it from learning that everything is to be declined.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from charter.engine.local import Progress, process, silent
from charter.errors import TrainingError
from charter.prompts.cleaning import usable
from charter.records import (
    Checkpoint,
    Completion,
    Demonstration,
    Dropped,
    Model,
    Origin,
    Prompt,
    Record,
    Request,
    RevisionChain,
    Sampling,
)
from charter.seeds import derive, draws
from charter.store import Manifest, StageFolder
from charter.training.curves import write_curve
from charter.training.examples import ChatExample
from charter.training.run import train_sft
from charter.training.settings import NotNegative, TrainSettings

STAGE, DATA_STAGE = "sft", "sft_data"
Arm = Literal["critique", "direct"]


class SftConfig(Record, frozen=True):
    """The `sft:` block of a recipe."""

    arm: Arm = "critique"
    """Whose revisions are imitated: `critique` or `direct`."""
    rounds: Literal["all", "last"] = "all"
    """`all` keeps the revisions of every round (the paper), `last` only the final one."""
    helpful: Sampling = Sampling(max_tokens=64, temperature=0.7, top_p=0.95)
    """How the start model's answers to harmless prompts are sampled."""
    revisions_per_helpful: NotNegative = 0.0
    """Revisions imitated for each helpful answer; whichever there are too many of are thinned out,
    drawn by seed. 0 takes all there are."""
    packing: bool = False
    """Put several short examples into one row of `train.max_length` tokens, each unseen by the
    others. `train.batch_size` then counts rows."""
    train: TrainSettings = TrainSettings()


@dataclass(frozen=True, slots=True)
class SftDataDeps:
    """What making the demonstrations needs: the start model, a folder, the run's seed."""

    policy: Model
    folder: StageFolder
    seed: int = 0
    progress: Progress = silent


@dataclass(frozen=True, slots=True)
class SftDeps:
    """What training needs."""

    start: Checkpoint
    folder: StageFolder
    progress: Callable[[str, int, int | None], None] = silent


def demonstrations(
    chains: Iterable[RevisionChain],
    prompts: Sequence[Prompt],
    config: SftConfig,
    *,
    deps: SftDataDeps,
) -> Manifest:
    """Write the texts to imitate: revisions first, then helpful answers.

    Args:
        chains: from the critique stage.
        prompts: harmless prompts for the start model to answer.
        config: which revisions count, and how answers are sampled.
        deps: model and folder.
    """
    revisions = list(_revisions(chains, config))
    items: list[Demonstration | Prompt] = [*revisions, *prompts]
    return process(
        deps.folder,
        items,
        lambda group: _answered(group, config, deps),
        record_type=Demonstration,
        identify=_identify,
        total=len(items),
        progress=deps.progress,
    )


def run(records: Iterable[Demonstration], config: SftConfig, *, deps: SftDeps) -> Manifest:
    """Fine-tune the start model on the demonstrations; the prompt carries no loss."""
    if deps.folder.manifest is not None:
        return deps.folder.manifest
    started = time.monotonic()
    mix = mixed(list(records), config.revisions_per_helpful, config.train.seed)
    examples = [ChatExample(r.prompt.messages, r.answer) for r in mix.kept]
    trained = train_sft(
        deps.start,
        examples,
        config.train,
        deps.folder.path / "checkpoint",
        progress=lambda done, total, _: deps.progress(STAGE, done, total),
        packing=config.packing,
    )
    write_curve(deps.folder.path, trained.curve)
    notes = {
        "examples": len(examples),
        "sources": dict(Counter(record.source for record in mix.kept)),
        "thinned_out": mix.left_out,
        "tokens": trained.tokens,
        "checkpoint": trained.checkpoint,
    }
    return deps.folder.finish(time.monotonic() - started, notes)


@dataclass(frozen=True, slots=True)
class Mix:
    """The demonstrations that are imitated, and how many of each source are not."""

    kept: list[Demonstration]
    left_out: dict[str, int]


def mixed(records: Sequence[Demonstration], ratio: float, seed: int) -> Mix:
    """Thin out revisions or helpful answers until they stand in a ratio.

    Args:
        records: in any order, which is kept.
        ratio: revisions for each helpful answer; 0 takes all there are.
        seed: which ones are kept, drawn by their ids.

    Raises:
        TrainingError: a ratio is asked for, and one of the two is not there at all.
    """
    ids: dict[str, list[str]] = {"revision": [], "helpful": []}
    for record in records:
        ids[record.source].append(record.id)
    if not ratio:
        return Mix(list(records), {})
    revisions, helpful = len(ids["revision"]), len(ids["helpful"])
    if not revisions or not helpful:
        raise TrainingError(
            f"{revisions} revisions and {helpful} helpful answers cannot be mixed {ratio} to 1"
        )
    wanted = {
        "revision": max(1, min(revisions, round(ratio * helpful))),
        "helpful": max(1, min(helpful, round(revisions / ratio))),
    }
    chosen: set[str] = set()
    for source, number in wanted.items():
        chosen |= set(draws(seed, STAGE, "mix", source).sample(sorted(ids[source]), number))
    left_out = {source: len(ids[source]) - number for source, number in wanted.items()}
    return Mix([record for record in records if record.id in chosen], left_out)


def _revisions(chains: Iterable[RevisionChain], config: SftConfig) -> Iterator[Demonstration]:
    for chain in chains:
        if chain.arm != config.arm:
            continue
        steps = list(enumerate(chain.steps))
        seen: set[str] = set()
        for number, step in steps if config.rounds == "all" else steps[-1:]:
            # A round that found nothing to change repeats its text: imitate it once.
            if step.revision not in seen:
                seen.add(step.revision)
                yield Demonstration(
                    f"{chain.id}#{number}",
                    chain.prompt,
                    step.revision,
                    "revision",
                    chain.id,
                    chain.origin,
                )


def _answered(
    group: Sequence[Demonstration | Prompt], config: SftConfig, deps: SftDataDeps
) -> list[Demonstration | Dropped]:
    asked = [item for item in group if isinstance(item, Prompt)]
    made = deps.policy.generate(
        [Request(p.messages, config.helpful, derive(deps.seed, STAGE, p.id)) for p in asked]
    )
    answers = {
        prompt.id: _helpful(prompt, one, config, deps)
        for prompt, one in zip(asked, made, strict=True)
    }
    return [answers[item.id] if isinstance(item, Prompt) else item for item in group]


def _helpful(
    prompt: Prompt, made: Completion, config: SftConfig, deps: SftDataDeps
) -> Demonstration | Dropped:
    text, problem = usable(made, prompt=prompt.messages[-1].content)
    if problem:
        return Dropped(f"{prompt.id}/helpful", STAGE, f"helpful_{problem}", text[:200])
    origin = Origin(STAGE, deps.policy.identity, sampling=config.helpful, seed=deps.seed)
    return Demonstration(f"{prompt.id}/helpful", prompt, text, "helpful", "", origin)


def _identify(item: Demonstration | Prompt) -> str:
    return f"{item.id}/helpful" if isinstance(item, Prompt) else item.id
