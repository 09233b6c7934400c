"""What is counted while the record files of a run go by, each of them read once.

Owns counts, samples and provenance of chains, labels and answers. Memory stays flat: what is kept
is bounded by the constitution's length and by the size of the samples.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from charter.records import Abstention, Answer, Labelled, Origin, Prompt, RevisionChain, Verdict
from charter.report.sample import SampleByKind

BINS = 20
CHAINS = {"redteam": 24, "benign": 3, "borderline": 3}
ANSWERS = {"redteam": 10, "benign": 5, "borderline": 5}
_OTHER = 4
_MOST = 12
"""Distinct sources listed; more than this is no provenance but a list."""


class Sources:
    """The distinct origins of records: models, documents and templates they cite."""

    def __init__(self) -> None:
        self.models: dict[str, None] = {}
        self.constitutions: dict[str, None] = {}
        self.templates: dict[str, None] = {}

    def add(self, origin: Origin) -> None:
        """Remember one origin."""
        for known, value in (
            (self.models, origin.model),
            (self.constitutions, origin.constitution),
            (self.templates, origin.template),
        ):
            if value and len(known) < _MOST:
                known[value] = None


@dataclass(slots=True)
class ArmTally:
    """One arm of the critique stage: how often a round changes the text, and by how much."""

    chains: int = 0
    rounds: int = 0
    changed: int = 0
    draft_words: int = 0
    final_words: int = 0
    stopped: Counter[str] = field(default_factory=Counter)

    def add(self, chain: RevisionChain) -> None:
        """Count one chain."""
        texts = [chain.draft, *(step.revision for step in chain.steps)]
        self.chains += 1
        self.rounds += len(chain.steps)
        self.changed += sum(old != new for old, new in pairwise(texts))
        self.draft_words += len(texts[0].split())
        self.final_words += len(texts[-1].split())
        if chain.stopped:
            self.stopped[chain.stopped] += 1


class ChainTally:
    """Revision chains: principles drawn, figures by arm, and a sample with both arms together."""

    def __init__(self) -> None:
        self.drawn: Counter[str] = Counter()
        self.arms: dict[str, ArmTally] = {}
        self.sample = SampleByKind[RevisionChain](CHAINS, _OTHER)
        self.sources = Sources()

    def add(self, chain: RevisionChain) -> None:
        """Count one chain. Draws are counted for the arm that critiques."""
        self.arms.setdefault(chain.arm, ArmTally()).add(chain)
        if chain.arm == "critique":
            self.drawn.update(step.principle for step in chain.steps)
        self.sample.add(chain.prompt.kind, chain.prompt.id, chain)
        self.sources.add(chain.origin)


@dataclass(slots=True)
class VoteTally:
    """Votes under one principle: how many, and how far from undecided."""

    n: int = 0
    distance: float = 0.0

    def add(self, p_as_given: float, p_swapped: float) -> None:
        """Count one vote, read in both orders."""
        self.n += 1
        self.distance += abs((p_as_given + p_swapped) / 2 - 0.5)


class LabelTally:
    """Labels: votes by principle, a histogram of soft labels, abstentions by reason."""

    def __init__(self) -> None:
        self.n = 0
        self.votes: dict[str, VoteTally] = {}
        self.histogram = [0] * BINS
        self.reasons: Counter[str] = Counter()
        self.sources = Sources()

    def add(self, labelled: Labelled) -> None:
        """Count one label."""
        self.n += 1
        self.sources.add(labelled.comparison.origin)
        if isinstance(labelled.label, Abstention):
            self.reasons[labelled.label.reason] += 1
        else:
            self._add_verdict(labelled.label)

    def _add_verdict(self, verdict: Verdict) -> None:
        self.histogram[min(BINS - 1, max(0, int(verdict.p_a * BINS)))] += 1
        for vote in verdict.votes:
            tally = self.votes.setdefault(vote.principle, VoteTally())
            tally.add(vote.p_as_given, vote.p_swapped)


class AnswerTally:
    """Evaluation answers: a sample of prompts with every model's answer, and their sources."""

    def __init__(self) -> None:
        self.n = 0
        self.sample = SampleByKind[Answer](ANSWERS, _OTHER)
        self.sources = Sources()

    def add(self, answer: Answer) -> None:
        """Count one answer."""
        self.n += 1
        self.sample.add(answer.prompt.kind, answer.prompt.id, answer)
        self.sources.add(answer.origin)


def is_sensitive(prompt: Prompt) -> bool:
    """Whether the prompt may be meant to do harm: everything not known to be harmless."""
    return prompt.kind not in ("benign", "borderline")
