"""Stage: draft, critique, revision (Bai et al. 2022, §3.1).

Owns the conversation with the critic: which principle is drawn at each step, what the critic is
asked, and when a chain ends. Every step only extends the conversation of the one before it, so a
server with prefix caching, or a kept KV cache, pays for each text once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from charter.constitution import asked
from charter.constitution.document import Constitution, Principle
from charter.constitution.drawing import draw, relevant
from charter.engine.local import Progress, process, silent
from charter.prompts.chains import WorkedChain
from charter.prompts.cleaning import says_nothing_to_change, usable
from charter.prompts.templates import render, template, templates_digest
from charter.records import (
    Completion,
    Dropped,
    Message,
    Model,
    Origin,
    Prompt,
    Record,
    Request,
    RevisionChain,
    Sampling,
    Step,
)
from charter.seeds import derive, draws
from charter.store import Manifest, StageFolder

STAGE = "critique"
Arm = Literal["critique", "direct"]
TEMPLATES = (
    "critic_system",
    "critique_first",
    "critique_next",
    "revision",
    "revision_direct",
)


class CritiqueConfig(Record, frozen=True):
    """The `critique:` block of a recipe."""

    critic: str = "embedded-critic"
    """`embedded-critic` (adapter shipped for the embedded model), `few-shot` (the policy itself
    with worked examples in front), or the name of a model to be asked the same way."""
    shots: int = 4
    """Worked examples in front, for `few-shot`."""
    rounds: int = 2
    """Critique-revision pairs a prompt; 4 in the paper."""
    arms: tuple[Arm, ...] = ("critique",)
    """`direct` adds the comparison arm that revises without a critique."""
    draw: Literal["uniform", "relevant"] = "uniform"
    """Which principles are drawn from: all (the paper), or those that the prompt's category cites
    together with those tagged `general`."""
    draft: Sampling = Sampling(max_tokens=64, temperature=1.0)
    critique: Sampling = Sampling(max_tokens=56, temperature=0.7, top_p=0.9)
    revision: Sampling = Sampling(max_tokens=80, temperature=0.7, top_p=0.9)


@dataclass(frozen=True, slots=True)
class CritiqueDeps:
    """What the stage works with.

    Attributes:
        policy: writes the drafts.
        critic: writes critiques and revisions.
        folder: where records go.
        shots: worked conversations put in front of the critic's, may be empty.
        seed: of the whole run.
        progress: told after every chunk.
    """

    policy: Model
    critic: Model
    folder: StageFolder
    shots: tuple[Message, ...] = ()
    seed: int = 0
    progress: Progress = silent


def run(
    prompts: Iterable[Prompt],
    constitution: Constitution,
    config: CritiqueConfig,
    *,
    deps: CritiqueDeps,
    total: int | None = None,
) -> Manifest:
    """Write one `RevisionChain` (or `Dropped`) for every prompt and arm.

    Args:
        prompts: requests to answer, usually red-team ones.
        constitution: where principles are drawn from.
        config: rounds, arms, sampling.
        deps: models and folder.
        total: number of prompts, if known, for the progress bar.
    """
    writer = _Writer(constitution, config, deps)
    items = (_Item(prompt, arm) for prompt in prompts for arm in config.arms)
    return process(
        deps.folder,
        items,
        writer.chains,
        record_type=RevisionChain,
        identify=lambda record: record.id,
        total=None if total is None else total * len(config.arms),
        progress=deps.progress,
    )


@dataclass(frozen=True, slots=True)
class _Item:
    prompt: Prompt
    arm: Arm

    @property
    def id(self) -> str:
        return f"{self.prompt.id}/{self.arm}"


@dataclass(slots=True)
class _Open:
    """A chain in the making: the critic's conversation so far and the answer it stands at."""

    item: _Item
    draft: str
    answer: str
    talk: tuple[Message, ...]
    steps: list[Step]
    stopped: str = ""
    critique: str = ""


class _Writer:
    """Writes the chains of one chunk of prompts, all of them a step at a time."""

    def __init__(
        self, constitution: Constitution, config: CritiqueConfig, deps: CritiqueDeps
    ) -> None:
        self.constitution, self.config, self.deps = constitution, config, deps
        self.template = templates_digest(*TEMPLATES)

    def chains(self, items: Sequence[_Item]) -> list[RevisionChain | Dropped]:
        """One outcome an item, in order."""
        drafts = self.deps.policy.generate(
            [Request(i.prompt.messages, self.config.draft, self._seed(i, "draft")) for i in items]
        )
        chains = []
        for item, made in zip(items, drafts, strict=True):
            text, problem = usable(made)
            chains.append(_Open(item, text, text, (), [], f"draft_{problem}" if problem else ""))
        for number in range(self.config.rounds):
            self._round([chain for chain in chains if not chain.stopped], number)
        return [self._outcome(chain) for chain in chains]

    def _round(self, chains: list[_Open], number: int) -> None:
        drawn = {chain.item.id: self._draw(chain.item, number) for chain in chains}
        with_critique = [chain for chain in chains if chain.item.arm == "critique"]
        self._ask_critiques(with_critique, drawn, number)
        for chain in with_critique:
            if not chain.stopped and says_nothing_to_change(chain.critique):
                principle = drawn[chain.item.id]
                chain.steps.append(Step(principle.id, chain.critique, chain.answer))
        unfinished = [c for c in chains if not c.stopped and len(c.steps) == number]
        self._ask_revisions(unfinished, drawn, number)

    def _ask_critiques(self, chains: list[_Open], drawn: dict[str, Principle], number: int) -> None:
        for chain in chains:
            chain.talk = self._with_critique_request(chain, drawn[chain.item.id])
        made = self._ask(chains, self.config.critique, f"critique{number}")
        for chain, one in zip(chains, made, strict=True):
            chain.critique, problem = usable(one)
            chain.talk = (*chain.talk, Message("assistant", chain.critique))
            chain.stopped = f"critique_{problem}" if problem else ""

    def _ask_revisions(self, chains: list[_Open], drawn: dict[str, Principle], number: int) -> None:
        for chain in chains:
            chain.talk = self._with_revision_request(chain, drawn[chain.item.id])
        made = self._ask(chains, self.config.revision, f"revision{number}")
        for chain, one in zip(chains, made, strict=True):
            text, problem = usable(one, prompt=chain.item.prompt.messages[-1].content)
            if problem:
                chain.stopped = f"revision_{problem}"
                continue
            chain.steps.append(Step(drawn[chain.item.id].id, chain.critique, text))
            chain.answer, chain.critique = text, ""
            chain.talk = (*chain.talk, Message("assistant", text))

    def _ask(self, chains: list[_Open], sampling: Sampling, what: str) -> list[Completion]:
        return self.deps.critic.generate(
            [Request(c.talk, sampling, self._seed(c.item, what)) for c in chains]
        )

    def _with_critique_request(self, chain: _Open, principle: Principle) -> tuple[Message, ...]:
        if chain.talk:
            text = render("critique_next", critique_request=asked.critique_request(principle))
            return (*chain.talk, Message("user", text))
        return (*self._opening(), first_critique(chain.item.prompt, chain.answer, principle))

    def _with_revision_request(self, chain: _Open, principle: Principle) -> tuple[Message, ...]:
        if chain.talk:
            text = render("revision", revision_request=asked.revision_request(principle))
            return (*chain.talk, Message("user", text))
        return (*self._opening(), first_revision(chain.item.prompt, chain.answer, principle))

    def _opening(self) -> tuple[Message, ...]:
        return (Message("system", template("critic_system")), *self.deps.shots)

    def _draw(self, item: _Item, number: int) -> Principle:
        """The principle of a step; both arms draw the same one, so that they can be compared."""
        pool = list(self.constitution.principles)
        if self.config.draw == "relevant":
            pool = relevant(self.constitution, item.prompt.category)
        return draw(pool, draws(self.deps.seed, item.prompt.id, "principle", number))

    def _seed(self, item: _Item, what: str) -> int:
        """Drafts are shared by the arms: the arm is left out of a draft's seed."""
        arm = "" if what == "draft" else item.arm
        return derive(self.deps.seed, STAGE, item.prompt.id, arm, what)

    def _outcome(self, chain: _Open) -> RevisionChain | Dropped:
        if not chain.steps:
            reason = chain.stopped or "no_rounds"
            return Dropped(chain.item.id, STAGE, reason, chain.answer[:200])
        origin = Origin(
            STAGE,
            f"{self.deps.policy.identity} | {self.deps.critic.identity}",
            self.constitution.digest,
            self.template,
            self.config.revision,
            self.deps.seed,
        )
        item = chain.item
        return RevisionChain(
            item.id, item.prompt, item.arm, chain.draft, tuple(chain.steps), origin, chain.stopped
        )


def first_critique(prompt: Prompt, answer: str, principle: Principle) -> Message:
    """The critic's opening question."""
    text = render(
        "critique_first",
        request=prompt.messages[-1].content,
        answer=answer,
        critique_request=asked.critique_request(principle),
    )
    return Message("user", text)


def first_revision(prompt: Prompt, answer: str, principle: Principle) -> Message:
    """The opening question of the arm that revises without a critique."""
    text = render(
        "revision_direct",
        request=prompt.messages[-1].content,
        answer=answer,
        revision_request=asked.revision_request(principle),
    )
    return Message("user", text)


def worked_conversation(chain: WorkedChain, constitution: Constitution) -> tuple[Message, ...]:
    """A worked chain as the conversation with a critic that would have produced it."""
    prompt = Prompt(chain.id, (Message("user", chain.prompt),))
    principle = constitution.principle(chain.principle)
    return (
        first_critique(prompt, chain.draft, principle),
        Message("assistant", chain.critique),
        Message("user", render("revision", revision_request=asked.revision_request(principle))),
        Message("assistant", chain.revision),
    )


def few_shots(
    chains: Sequence[WorkedChain], constitution: Constitution, count: int, seed: int
) -> tuple[Message, ...]:
    """Worked conversations to stand in front of a critic that was not trained as one."""
    known = {p.id for p in constitution.principles}
    usable = [chain for chain in chains if chain.principle in known]
    drawn = draws(seed, STAGE, "shots").sample(usable, min(count, len(usable)))
    return tuple(m for chain in drawn for m in worked_conversation(chain, constitution))
