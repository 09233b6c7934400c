"""The frozen records that pass between stages, and the protocols that stages are written against.

Records are plain data: they know how to be compared and encoded, not how they were made. Every
record is JSON on disk with its fields in the order written here, so the same record is the same
bytes. Nothing time-dependent stands in a record; when a file was made is the manifest's business.
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec

Role = Literal["system", "user", "assistant"]
Split = Literal["train", "eval"]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all records: immutable, strict about its fields."""


def digest(value: Any, *, length: int = 16) -> str:
    """Content digest of anything msgspec can encode, independent of key order in mappings.

    Args:
        value: a record, or plain JSON-like data.
        length: hex digits to keep; 16 (64 bits) is plenty to tell a project's objects apart.
    """
    encoded = msgspec.json.encode(value, order="deterministic")
    return hashlib.sha256(encoded).hexdigest()[:length]


class Message(Record, frozen=True):
    """One turn of a conversation."""

    role: Role
    content: str


class Prompt(Record, frozen=True):
    """A conversation that waits for an answer: its last message is the user's."""

    id: str
    messages: tuple[Message, ...]
    kind: str = "unspecified"
    """`redteam`, `benign`, `borderline`, or whatever the source says."""
    category: str = ""
    split: Split = "train"


class Sampling(Record, frozen=True):
    """How an answer is sampled. Temperature 0 means greedy."""

    max_tokens: int = 64
    temperature: float = 1.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0


class Origin(Record, frozen=True):
    """What made a record: enough to make it again, and to find every record an edit touches.

    Attributes:
        stage: the stage that wrote it.
        model: the model that produced the text or the score, with its revision digest.
        constitution: digest of the document in force ("" where none was used).
        template: digest of the prompt templates used ("" where none was).
        sampling: sampling settings, if text was sampled.
        seed: the seed this record's randomness came from.
    """

    stage: str
    model: str
    constitution: str = ""
    template: str = ""
    sampling: Sampling | None = None
    seed: int = 0


class Request(Record, frozen=True):
    """One call for text: `seed` alone decides the randomness, whatever else is in the batch."""

    messages: tuple[Message, ...]
    sampling: Sampling
    seed: int


class Completion(Record, frozen=True):
    """The text a model gave back, or the reason why it gave none.

    A call to a remote model may fail after all of its retries: `finish` is then "error", the text
    is empty, and `failure` has the reason that stages count (`timeout`, `rate_limited`, …).
    """

    text: str
    tokens: int
    finish: Literal["stop", "length", "error"]
    failure: str = ""


class Step(Record, frozen=True):
    """One critique and revision of the current answer (Bai et al. 2022, §3.1)."""

    principle: str
    critique: str
    revision: str


class RevisionChain(Record, frozen=True):
    """A draft and its successive revisions. Arm `direct` revises without a critique (§3.5).

    `stopped` says why a chain ended before its last round ("" if it did not).
    """

    id: str
    prompt: Prompt
    arm: Literal["critique", "direct"]
    draft: str
    steps: tuple[Step, ...]
    origin: Origin
    stopped: str = ""


class Demonstration(Record, frozen=True):
    """A prompt and the answer to imitate: a revision (`chain` says which) or a helpful sample."""

    id: str
    prompt: Prompt
    answer: str
    source: Literal["revision", "helpful"]
    chain: str
    origin: Origin


class Dropped(Record, frozen=True, tag="dropped", tag_field="type"):
    """Something a stage did not keep, and why. Counted by `reason` in the report."""

    id: str
    stage: str
    reason: str
    detail: str = ""


class Comparison(Record, frozen=True):
    """Two answers to one prompt, waiting for a label."""

    id: str
    prompt: Prompt
    a: str
    b: str
    origin: Origin

    def swap(self) -> Comparison:
        """The same comparison with the answers exchanged; `id` is kept, so both orders join up."""
        return msgspec.structs.replace(self, a=self.b, b=self.a)


class PrincipleVote(Record, frozen=True):
    """Probability that A is better under one principle, read off in each presentation order.

    All numbers speak of the *original* A: `p_swapped` has been un-swapped already.

    Attributes:
        principle: id of the principle.
        p_as_given: reading with A presented first.
        p_swapped: reading with B presented first, un-swapped.
        weight: of this vote in the verdict.
        members: P(A better) of every judge of a panel that answered, mean over both orders.
        unread: samples or panel members, over both orders, that gave nothing that could be read.
    """

    principle: str
    p_as_given: float
    p_swapped: float
    weight: float = 1.0
    members: dict[str, float] = {}
    unread: int = 0

    @property
    def p_a(self) -> float:
        """Mean over the two orders (Lee et al. 2023, §3.1)."""
        return (self.p_as_given + self.p_swapped) / 2

    @property
    def spread(self) -> float:
        """Standard deviation of the members' opinions; 0 for a judge that is alone."""
        return statistics.pstdev(self.members.values()) if self.members else 0.0


class Verdict(Record, frozen=True, tag="verdict", tag_field="type"):
    """A soft label: the probability that answer A is the better one."""

    comparison: str
    p_a: float
    votes: tuple[PrincipleVote, ...]
    judge: str
    tokens: int = 0


class Abstention(Record, frozen=True, tag="abstention", tag_field="type"):
    """A judge that failed, timed out or answered off the menu. Never 0, never a tie, never "A"."""

    comparison: str
    reason: str
    judge: str
    detail: str = ""


Label = Verdict | Abstention


class Labelled(Record, frozen=True):
    """A comparison together with what the judge said about it."""

    comparison: Comparison
    label: Label


class Scored(Record, frozen=True):
    """An answer's scalar score, or the reason there is none."""

    value: float | None
    reason: str = ""


class Rollout(Record, frozen=True):
    """One on-policy sample and what it was paid, part by part; `None` means it was left out."""

    prompt: str
    completion: str
    reward: float | None
    components: dict[str, float | None]
    step: int


class Answer(Record, frozen=True):
    """One model's answer to one evaluation prompt, with every scorer's reading of it.

    `scores` maps scorer name to P(harmful compliance), P(refusal) or preference score, as the
    scorer's name says; a missing reading is `None` and counts as unscored.
    """

    id: str
    model: str
    prompt: Prompt
    text: str
    tokens: int
    scores: dict[str, float | None]
    origin: Origin


class Measurement(Record, frozen=True):
    """A figure with its interval (95 %), its n, and how many could not be scored."""

    model: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    unscored: int


class Checkpoint(Record, frozen=True):
    """A model on disk: a base (hub name, folder or `embedded`) and adapters merged in order."""

    base: str
    adapters: tuple[str, ...] = ()
    digest: str = ""


@runtime_checkable
class Model(Protocol):
    """Anything that gives text back."""

    @property
    def identity(self) -> str:
        """Name and revision, as written into `Origin.model`."""

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """One completion a request, in order."""


@runtime_checkable
class ChoiceModel(Protocol):
    """A model that can say how likely each of a few continuations is."""

    @property
    def identity(self) -> str:
        """Name and revision."""

    def choice_logprobs(
        self, prefix: Sequence[Message], suffixes: Sequence[str], options: Sequence[str]
    ) -> list[list[float]]:
        """Log-probability that the answer to `prefix` + each suffix begins with each option.

        As many tokens of an option count as it takes to tell it from the others: one if their
        first tokens differ. "1" beside "10" means a one that no zero follows. A backend that sees
        first tokens only gives options that share theirs the same number; judges then abstain.

        Returns:
            one row a suffix, one column an option; natural logarithms, not normalised over options.
        """


@runtime_checkable
class Judge(Protocol):
    """Says which of two answers follows a set of principles better."""

    @property
    def identity(self) -> str:
        """Name and revision of the judge, calibration included."""

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        """P(A better) for each comparison *as presented* and each of its principles (by id).

        A judge knows nothing of swapping or averaging: `judging.labeling` asks it in both orders.
        """


@runtime_checkable
class Scorer(Protocol):
    """Gives one answer a number (higher is better, unless the scorer's name says otherwise)."""

    @property
    def identity(self) -> str:
        """Name and revision."""

    def score(self, exchanges: Sequence[tuple[Prompt, str]]) -> list[Scored]:
        """One reading an exchange, in order."""
