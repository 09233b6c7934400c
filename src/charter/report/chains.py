"""Drafts, critiques and revisions side by side, and the arm that revises without a critique."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from charter.records import Prompt, RevisionChain
from charter.report.figures import Shown, count, plain, shown_rate
from charter.report.tallies import ArmTally, ChainTally, is_sensitive
from charter.statistics import wilson


@dataclass(frozen=True, slots=True)
class Round:
    """One critique and revision. `same` says that the text was left as it was."""

    title: str
    critique: str
    revision: str
    same: bool


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain laid out: prompt, draft, then a column a round."""

    prompt: Prompt
    sensitive: bool
    draft: str
    rounds: list[Round]
    stopped: str
    direct: str | None
    """What the other arm ended with, for the same prompt."""

    @property
    def final(self) -> str:
        """The text that the chain ends with."""
        return self.rounds[-1].revision if self.rounds else self.draft


@dataclass(frozen=True, slots=True)
class Arm:
    """Figures of one arm."""

    name: str
    chains: str
    rounds: str
    changed: Shown
    draft_words: str
    final_words: str
    stopped: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Chains:
    """The section: figures of each arm and a sample of chains."""

    arms: list[Arm]
    sample: list[Chain]
    total: str

    @property
    def both_arms(self) -> list[Chain]:
        """Sampled chains that were also revised directly."""
        return [chain for chain in self.sample if chain.direct is not None]

    @property
    def has_direct(self) -> bool:
        """Whether the run has the comparison arm at all."""
        return any(arm.name == "direct" for arm in self.arms)


def chains(tally: ChainTally, titles: Mapping[str, str]) -> Chains | None:
    """The section, or None if there are no chains."""
    if not tally.arms:
        return None
    sample = [chain for g in tally.sample.groups() if (chain := _chain(g, titles)) is not None]
    arms = [_arm(name, tally.arms[name]) for name in sorted(tally.arms)]
    return Chains(arms, sample, count(sum(arm.chains for arm in tally.arms.values())))


def _chain(group: list[RevisionChain], titles: Mapping[str, str]) -> Chain | None:
    by_arm = {chain.arm: chain for chain in group}
    main = by_arm.get("critique", group[0])
    direct = by_arm.get("direct")
    ending = None
    if direct is not None and direct is not main:
        ending = direct.steps[-1].revision if direct.steps else direct.draft
    return Chain(
        main.prompt,
        is_sensitive(main.prompt),
        main.draft,
        _rounds(main, titles),
        main.stopped,
        ending,
    )


def _rounds(chain: RevisionChain, titles: Mapping[str, str]) -> list[Round]:
    before = [chain.draft, *(step.revision for step in chain.steps)]
    return [
        Round(
            titles.get(step.principle, step.principle),
            step.critique,
            step.revision,
            step.revision == old,
        )
        for old, step in zip(before, chain.steps, strict=False)
    ]


def _arm(name: str, tally: ArmTally) -> Arm:
    return Arm(
        name,
        count(tally.chains),
        count(tally.rounds),
        shown_rate(wilson(tally.changed, tally.rounds)),
        plain(round(tally.draft_words / max(1, tally.chains), 1)),
        plain(round(tally.final_words / max(1, tally.chains), 1)),
        tally.stopped.most_common(),
    )
