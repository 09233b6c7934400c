"""The stage: votes in, consensus out. Every choice is a field of `CollectConfig`.

Owns the order of the steps. Writes nothing: `files` does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from charter.collective.consensus import Counts, Statement, statements
from charter.collective.conversation import Conversation
from charter.collective.groups import (
    GROUPS,
    LEAST_VOTES,
    Grouping,
    Plane,
    best,
    candidates,
    partition,
    placed,
    project,
)
from charter.collective.sensitivity import Draft, Sensitivity, sensitivity
from charter.collective.votes import Ints
from charter.errors import DataError
from charter.records import Record, digest

THRESHOLD = 0.723
"""As in Collective Constitutional AI (Huang et al. 2024), which had two groups."""
_WEAK_SILHOUETTE = 0.25
_FEW = 10


class CollectConfig(Record, frozen=True):
    """The choices that lead from votes to a draft."""

    threshold: float = THRESHOLD
    """Group-aware consensus from which a statement becomes a principle."""
    groups: int | None = None
    """Number of opinion groups; None takes the one of 2 to 5 with the best silhouette."""
    seed: int = 0
    least_votes: int = LEAST_VOTES
    """Votes that place a participant on the map and in a group."""


class Collected(Record, frozen=True):
    """The result, as `--json` prints it."""

    groups: tuple[int, ...]
    """Participants in each opinion group, largest first."""
    statements: tuple[Statement, ...]
    """By group-aware consensus, highest first."""
    name: str
    topic: str
    config: CollectConfig
    participants: int
    """Everyone in the vote file."""
    grouped: int
    """Those who voted often enough to be placed on the map; only their votes are counted."""
    votes: int
    """On the statements above, by everyone."""
    votes_counted: int
    """On the statements above, by those in a group."""
    silhouette: float | None
    explained: tuple[float, float]
    selected: tuple[int, ...]
    divisive: tuple[int, ...]
    left_out: dict[str, int]
    """Statements left out, by reason."""
    sensitivity: Sensitivity
    notes: tuple[str, ...]
    """What a reader has to know before trusting the draft."""
    digest: str = ""
    """Of the votes and statements that this was made from."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result with the map behind it."""

    collected: Collected
    participants: Ints
    """Who is on the map (N), in the order of the plane and of the grouping."""
    plane: Plane
    grouping: Grouping


def run(conversation: Conversation, config: CollectConfig) -> Outcome:
    """Group the participants, measure the consensus, and vary the choices.

    Raises:
        DataError: a choice makes no sense, or fewer participants differ than groups are asked for.
    """
    _check(config)
    everyone = conversation.matrix
    matrix = everyone.with_participants(placed(everyone, config.least_votes))
    plane = project(matrix, config.seed)
    found = candidates(plane, config.seed)
    grouping = _chosen(plane, found, config)
    counts = Counts(matrix, grouping.labels)
    ids = [int(id) for id in matrix.statements]
    listed = statements(ids, conversation.texts, counts, config.threshold)
    draft = Draft(matrix, plane, grouping, config.threshold, config.seed, counts.consensus())
    others = {**found, grouping.k: grouping}
    varied = sensitivity(draft, [others[k] for k in sorted(others)])
    collected = Collected(
        groups=grouping.sizes,
        statements=listed,
        name=conversation.name,
        topic=conversation.topic,
        config=config,
        participants=len(everyone.participants),
        grouped=len(matrix.participants),
        votes=everyone.total,
        votes_counted=matrix.total,
        silhouette=grouping.silhouette,
        explained=plane.explained,
        selected=tuple(s.id for s in listed if s.selected),
        divisive=tuple(s.id for s in listed if s.divisive),
        left_out=conversation.left_out,
        sensitivity=varied,
        notes=_notes(conversation, grouping, listed, config),
        digest=_digest(conversation),
    )
    return Outcome(collected, matrix.participants, plane, grouping)


def _check(config: CollectConfig) -> None:
    if not 0 < config.threshold <= 1:
        raise DataError(
            f"threshold {config.threshold!r}", field="threshold", expected="above 0, at most 1"
        )
    if config.groups is not None and not 1 <= config.groups <= max(GROUPS):
        raise DataError(f"{config.groups} groups", field="groups", expected=f"1 to {max(GROUPS)}")


def _chosen(plane: Plane, found: dict[int, Grouping], config: CollectConfig) -> Grouping:
    if config.groups is None:
        return best(found)
    if config.groups in found:
        return found[config.groups]
    grouping = partition(plane, config.groups, config.seed)
    if grouping.k < config.groups:
        raise DataError(
            f"no {config.groups} opinion groups in {len(plane.points)} participants",
            field="groups",
            expected=f"at most {grouping.k}: so many of them differ",
        )
    return grouping


def _notes(
    conversation: Conversation,
    grouping: Grouping,
    listed: tuple[Statement, ...],
    config: CollectConfig,
) -> tuple[str, ...]:
    found = []
    if conversation.signs_reversed:
        found.append(
            "The totals in the comments file fit these votes only if 1 means disagree. Check the "
            "signs: with the wrong ones, the draft says the opposite of what people want."
        )
    if grouping.k == 1:
        found.append("The participants do not differ: there is one group, and consensus is theirs.")
    elif grouping.silhouette is not None and grouping.silhouette < _WEAK_SILHOUETTE:
        found.append(
            f"The groups overlap (silhouette {grouping.silhouette:.2f}): they divide a cloud more "
            "than they find separate camps."
        )
    if not any(statement.selected for statement in listed):
        found.append(
            f"No statement reaches {config.threshold:g}, so no constitution is drafted. The "
            f"highest group-aware consensus is {listed[0].gac:.3f}; {_some(listed)}."
        )
    return tuple(found)


def _some(listed: tuple[Statement, ...]) -> str:
    """The threshold that a draft of a few clauses would take, rounded down."""
    count = min(_FEW, len(listed))
    return f"a threshold of {int(listed[count - 1].gac * 1000) / 1000:g} would select {count}"


def _digest(conversation: Conversation) -> str:
    votes = conversation.matrix.votes
    state = [
        digest(np.ascontiguousarray(part).tobytes())
        for part in (
            conversation.matrix.participants,
            conversation.matrix.statements,
            votes.indptr.astype(np.int64),
            votes.indices.astype(np.int32),
            votes.data.astype(np.int8),
        )
    ]
    return digest([*state, list(conversation.texts)])
