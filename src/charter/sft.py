"""Stage: supervised fine-tuning on revisions and helpful answers (Bai et al. 2022, §3.2).

Owns which texts are imitated: the revisions of every round, and the start model's own answers to
harmless prompts, which keep it from learning that everything is to be declined.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from charter.engine.local import Progress, process, silent
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
from charter.seeds import derive
from charter.store import Manifest, StageFolder
from charter.training.curves import write_curve
from charter.training.examples import ChatExample
from charter.training.run import train_sft
from charter.training.settings import TrainSettings

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
    examples = [ChatExample(r.prompt.messages, r.answer) for r in records]
    trained = train_sft(
        deps.start,
        examples,
        config.train,
        deps.folder.path / "checkpoint",
        progress=lambda done, total, _: deps.progress(STAGE, done, total),
    )
    write_curve(deps.folder.path, trained.curve)
    notes = {
        "examples": len(examples),
        "tokens": trained.tokens,
        "checkpoint": trained.checkpoint,
    }
    return deps.folder.finish(time.monotonic() - started, notes)


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
