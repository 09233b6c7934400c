"""Labels from a judge: both orders, averaged; ensembles of principles; abstentions kept apart.

Owns everything that turns a judge's raw readings into a `Verdict` or an `Abstention`. A judge is
asked about a comparison as presented and knows nothing of orders, so there is exactly one place
where a swapped reading is turned back, and one test can break it on purpose.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from charter.constitution.priorities import Before
from charter.judging.precedence import NONE, settled
from charter.judging.reading import Outcome, Reading, readings
from charter.records import (
    Abstention,
    Comparison,
    Judge,
    Label,
    Labelled,
    PrincipleVote,
    Verdict,
)


def label(
    judge: Judge,
    comparisons: Sequence[Comparison],
    principles: Sequence[Sequence[tuple[str, float]]],
    *,
    before: Before = NONE,
) -> list[Label]:
    """Label comparisons, each under its own principles.

    Args:
        judge: asked in both presentation orders (Lee et al. 2023, §3.1).
        comparisons: what to label.
        principles: for each comparison, (principle id, weight) pairs; the verdict is their
            weighted mean.
        before: priorities of the document; a vote that gives way to another has weight 0.

    Returns:
        one `Verdict` or `Abstention` a comparison, in order. A comparison is abstained from only
        if no principle gave a reading in both orders.
    """
    ids = [[id for id, _ in drawn] for drawn in principles]
    both = readings(judge, [*comparisons, *(c.swap() for c in comparisons)], [*ids, *ids])
    given, swapped = both[: len(comparisons)], both[len(comparisons) :]
    named = judge.identity  # once: it may be a digest of all that the judge is made of
    return [
        _verdict(named, comparison, drawn, first, second, before)
        for comparison, drawn, first, second in zip(
            comparisons, principles, given, swapped, strict=True
        )
    ]


def unswap(p_first: float) -> float:
    """P(original A better) from a reading of P(first-presented better) in the swapped order."""
    return 1.0 - p_first


def aggregate(votes: Sequence[PrincipleVote]) -> float:
    """Weighted mean of the votes' P(A), the verdict's soft label."""
    return sum(v.weight * v.p_a for v in votes) / sum(v.weight for v in votes)


def reaggregate(
    labelled: Labelled,
    *,
    weights: Mapping[str, float] | None = None,
    principles: Collection[str] | None = None,
) -> Labelled:
    """The same votes, weighed anew: no judge is asked.

    Args:
        labelled: a record; an abstention stays one.
        weights: new weight by principle id; principles that it does not name are left out.
        principles: the principles that still count; all if not given.

    A vote that gave way to a clause with priority stays out.

    Returns:
        the record with its votes as they were but for their weights, or with an `Abstention` for
        the reason `no_principle` if none of them counts any more.
    """
    found = labelled.label
    if isinstance(found, Abstention):
        return labelled
    votes = tuple(
        vote if weights is None else replace(vote, weight=weights[vote.principle])
        for vote in found.votes
        if vote.weight > 0
        and (principles is None or vote.principle in principles)
        and (weights is None or weights.get(vote.principle, 0.0) > 0)
    )
    if not votes:
        return replace(labelled, label=Abstention(found.comparison, "no_principle", found.judge))
    return replace(labelled, label=replace(found, p_a=aggregate(votes), votes=votes))


def _verdict(
    judge: str,
    comparison: Comparison,
    drawn: Sequence[tuple[str, float]],
    given: Sequence[Outcome],
    swapped: Sequence[Outcome],
    before: Before,
) -> Label:
    votes, failures, tokens = [], [], 0
    for (principle, weight), first, second in zip(drawn, given, swapped, strict=True):
        if isinstance(first, Abstention):
            failures.append(first)
        elif isinstance(second, Abstention):
            failures.append(second)
        else:
            votes.append(_vote(principle, weight, first, second))
            tokens += first.tokens + second.tokens
    if not votes:
        return failures[0] if failures else _no_principle(judge, comparison)
    weighed = settled(votes, before)
    return Verdict(comparison.id, aggregate(weighed), weighed, judge, tokens)


def _vote(principle: str, weight: float, first: Reading, second: Reading) -> PrincipleVote:
    members = {
        name: (p + unswap(second.members[name])) / 2
        for name, p in first.members.items()
        if name in second.members
    }
    unread = first.unread + second.unread
    return PrincipleVote(principle, first.p, unswap(second.p), weight, members, unread)


def _no_principle(judge: str, comparison: Comparison) -> Abstention:
    return Abstention(comparison.id, "no_principle", judge)
