"""Advice from a run: principles that no data used, and pairs whose labels contradict each other.

Two clauses contradict each other on data where, on comparisons that both decide clearly, they
prefer different answers more often than not. Whether that is more than chance is a sign test,
with the bar raised for the number of pairs looked at (Bonferroni), since among 19 clauses there
are 171 pairs. The pass over the records is one, and memory grows with the pairs alone.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from charter.constitution.clauses import Constitution
from charter.constitution.findings import Remark
from charter.constitution.priorities import CLEAR, Before, before
from charter.errors import DataError
from charter.records import Labelled, PrincipleVote, RevisionChain, Verdict
from charter.statistics import wilson
from charter.store import RECORDS, RecordLog

ALPHA = 0.05
_ADVICE = "give one of them priority, or an exception"
ROWS = 5
"""Comparisons shown as evidence of a contradiction."""
_CRITIQUE, _FEEDBACK = "critique", "feedback"


def usage(document: Constitution, run: str | Path) -> Iterator[Remark]:
    """What the records of a run say about the clauses.

    Args:
        document: the clauses.
        run: a run folder with critique or feedback records.

    Raises:
        DataError: the folder holds neither.
    """
    folder = Path(run)
    logs = [folder / stage / RECORDS for stage in (_CRITIQUE, _FEEDBACK)]
    if not any(log.exists() for log in logs):
        raise DataError("no critiques and no labels", file=folder, expected="a run folder")
    critiques, votes = Counter[str](), VoteTable()
    for chain in RecordLog(logs[0], RevisionChain):
        critiques.update(step.principle for step in chain.steps)
    for labelled in RecordLog(logs[1], Labelled):
        votes.add(labelled)
    yield from _unused(document, critiques, votes.seen)
    yield from _unknown(document, critiques, votes.seen)
    yield from contradictions(votes, before(document))


def _unused(
    document: Constitution, critiques: Counter[str], votes: Counter[str]
) -> Iterator[Remark]:
    for principle in document.principles:
        drawn, voted = critiques[principle.id], votes[principle.id]
        if not drawn and not voted:
            message = "no critique and no label of the run used it: see its tags and weight"
            evidence = {"critiques": 0, "votes": 0, "of_critiques": critiques.total()}
            evidence["of_votes"] = votes.total()
            yield Remark("unused-principle", principle.id, message, evidence)


def _unknown(
    document: Constitution, critiques: Counter[str], votes: Counter[str]
) -> Iterator[Remark]:
    known = {p.id for p in document.principles}
    for id in sorted((critiques.keys() | votes.keys()) - known):
        message = f"the run cites {id!r}, which this document does not have"
        evidence = {"critiques": critiques[id], "votes": votes[id]}
        yield Remark("unknown-principle", "", message, evidence)


@dataclass(slots=True)
class Pair:
    """How two principles voted on the comparisons that both decided.

    Attributes:
        n: comparisons with a vote of each.
        clear: those where both votes are clear.
        opposite: clear ones with different answers preferred.
        sums: of x, y, x², y², xy, where x and y are P(A) - 1/2; for the correlation.
        rows: the most contrary comparisons, as a heap.
    """

    n: int = 0
    clear: int = 0
    opposite: int = 0
    sums: list[float] = field(default_factory=lambda: [0.0] * 5)
    rows: list[tuple[float, str, float, float]] = field(default_factory=list)

    def add(self, comparison: str, x: float, y: float) -> None:
        """Count one comparison; x and y are P(A) - 1/2."""
        self.n += 1
        for k, value in enumerate((x, y, x * x, y * y, x * y)):
            self.sums[k] += value
        if min(abs(x), abs(y)) >= CLEAR:
            self.clear += 1
            if x * y < 0:
                self.opposite += 1
                heapq.heappush(self.rows, (-x * y, comparison, x + 0.5, y + 0.5))
                if len(self.rows) > ROWS:
                    heapq.heappop(self.rows)

    @property
    def correlation(self) -> float | None:
        """Pearson's r of the two; None where one of them never varies."""
        sx, sy, sxx, syy, sxy = self.sums
        spread = (sxx - sx * sx / self.n) * (syy - sy * sy / self.n) if self.n else 0.0
        # Below this the spread is rounding of constant votes.
        if spread <= 1e-18:
            return None
        return max(-1.0, min(1.0, (sxy - sx * sy / self.n) / math.sqrt(spread)))


class VoteTable:
    """Votes of a labelling run, by principle and by pair of principles."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.pairs: dict[tuple[str, str], Pair] = defaultdict(Pair)
        self.verdicts = self.unscored = 0

    def add(self, labelled: Labelled) -> None:
        """Count one record; an abstention has no votes and counts as unscored."""
        label = labelled.label
        if not isinstance(label, Verdict):
            self.unscored += 1
            return
        self.verdicts += 1
        self.seen.update(vote.principle for vote in label.votes)
        for one, other in combinations(sorted(label.votes, key=_name), 2):
            pair = self.pairs[one.principle, other.principle]
            pair.add(labelled.comparison.id, one.p_a - 0.5, other.p_a - 0.5)


def contradictions(table: VoteTable, priorities: Before | None = None) -> Iterator[Remark]:
    """Pairs that prefer different answers more often than chance would have it.

    Args:
        table: the votes.
        priorities: which clause goes before which; such a pair is told apart, since there the
            labels follow one of the two.
    """
    if table.verdicts and not table.pairs:
        message = (
            "every comparison was labelled under one principle, so contradictions cannot be seen: "
            "label with feedback.principles=all"
        )
        evidence = {"verdicts": table.verdicts, "unscored": table.unscored}
        yield Remark("contradictions-unseen", "", message, evidence)
    tried = len(table.pairs)
    for (one, other), pair in sorted(table.pairs.items()):
        chance = upper_tail(pair.opposite, pair.clear) * tried
        if chance < ALPHA:
            found = _contradiction(one, other, pair, chance, tried, table.unscored)
            yield _settled(found, one, other, priorities or {})


def upper_tail(successes: int, n: int) -> float:
    """P(X ≥ successes) of a fair coin tossed n times; exact."""
    if successes <= 0:
        return 1.0
    return math.fsum(_share(n, k) for k in range(successes, n + 1))


def _share(n: int, k: int) -> float:
    # By logarithms: with ten thousand rows the binomial coefficient is no float any more.
    logs = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(logs - n * math.log(2))


def _contradiction(
    one: str, other: str, pair: Pair, chance: float, tried: int, unscored: int
) -> Remark:
    rate = wilson(pair.opposite, pair.clear)
    message = (
        f"contradicts {other!r} on data: of {pair.clear} comparisons that both decide clearly, "
        f"{pair.opposite} prefer different answers ({rate.value:.0%}, 95 % {rate.low:.0%} to "
        f"{rate.high:.0%}): {_ADVICE}"
    )
    evidence: dict[str, Any] = {
        "other": other,
        "n": pair.n,
        "clear": pair.clear,
        "opposite": {"value": rate.value, "low": rate.low, "high": rate.high, "n": rate.n},
        "unscored": unscored,
        "correlation": pair.correlation,
        "p": min(1.0, chance),
        "pairs_tried": tried,
        "rows": [
            {"comparison": id, one: round(x, 4), other: round(y, 4)}
            for _, id, x, y in sorted(pair.rows, key=lambda row: (-row[0], row[1]))
        ],
    }
    return Remark("contradiction", one, message, evidence)


def _settled(found: Remark, one: str, other: str, priorities: Before) -> Remark:
    """The remark itself, or what has been settled about the pair."""
    for first, second in ((one, other), (other, one)):
        if second in priorities.get(first, ()):
            says = f"{first!r} goes before {second!r}, whose vote gives way there"
            message = found.message.replace(_ADVICE, says)
            return Remark("settled-contradiction", one, message, {**found.evidence, "wins": first})
    return found


def _name(vote: PrincipleVote) -> str:
    return vote.principle
