"""The constitution, clause by clause, with how often each one was put to use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from charter.constitution.document import Constitution, Principle
from charter.report.charts import bar
from charter.report.figures import NOTHING, count
from charter.report.tallies import ChainTally, LabelTally, VoteTally


@dataclass(frozen=True, slots=True)
class Clause:
    """One principle and its use. `decided` is the mean of |p - ½| over its votes, 0 to 0.5."""

    principle: Principle
    drawn: str
    drawn_bar: Markup
    votes: str
    votes_bar: Markup
    decided: str


@dataclass(frozen=True, slots=True)
class Document:
    """The section: the document, its digests, and clauses cited by records but not in it."""

    constitution: Constitution
    clauses: list[Clause]
    other_digests: list[str]
    unknown: list[str]


def document(
    constitution: Constitution | None, chains: ChainTally, labels: LabelTally
) -> Document | None:
    """The section, or None if the run holds no constitution."""
    if constitution is None:
        return None
    known = {p.id for p in constitution.principles}
    cited = {**chains.sources.constitutions, **labels.sources.constitutions}
    most_drawn = max(chains.drawn.values(), default=0)
    most_votes = max((v.n for v in labels.votes.values()), default=0)
    return Document(
        constitution,
        [
            _clause(p, chains.drawn[p.id], most_drawn, labels.votes.get(p.id), most_votes)
            for p in constitution.principles
        ],
        [digest for digest in cited if digest != constitution.digest],
        _unknown(known, [*chains.drawn, *labels.votes]),
    )


def titles(constitution: Constitution | None) -> dict[str, str]:
    """Principle id → title."""
    return {} if constitution is None else {p.id: p.title for p in constitution.principles}


def _clause(
    principle: Principle, drawn: int, most_drawn: int, votes: VoteTally | None, most_votes: int
) -> Clause:
    n = votes.n if votes else 0
    return Clause(
        principle,
        count(drawn),
        bar(drawn, most_drawn, "bar drawn"),
        count(n),
        bar(n, most_votes, "bar voted"),
        f"{votes.distance / votes.n:.2f}" if votes else NOTHING,
    )


def _unknown(known: set[str], cited: Iterable[str]) -> list[str]:
    return sorted({name for name in cited if name not in known})
