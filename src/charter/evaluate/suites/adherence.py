"""Adherence, clause by clause: red-team prompts of the categories that a clause speaks of.

A prompt's category is matched with the harmful categories of the constitution, which name their
clauses. An answer that goes along violates every clause that its category cites. A file of probes
that `charter constitution probe` wrote names its clauses itself; see `probes`.
"""

from __future__ import annotations

from collections.abc import Callable

from charter.constitution.document import Constitution
from charter.constitution.probing.probe import is_it
from charter.errors import InputError
from charter.evaluate.config import COMPLIANCE, REDTEAM, REFUSAL
from charter.evaluate.loaders import prompts
from charter.evaluate.suites import probes
from charter.evaluate.suites.asking import write
from charter.evaluate.suites.counting import complied
from charter.evaluate.suites.sources import Sources, shipped
from charter.evaluate.suites.suite import Metric, Reading, Suite

NAME = "adherence"


def build(sources: Sources) -> Suite:
    """Red-team prompts whose category the constitution knows."""
    given = sources.file(NAME)
    if given and is_it(given):
        return probes.suite(NAME, given, sources)
    cited = clauses_of(sources.constitution)
    every = prompts(given, REDTEAM) if given else shipped(REDTEAM)
    items = [item for item in every if item.prompt.category in cited]
    if not items:
        raise InputError(
            "no prompt has a category that the constitution names",
            file=given or None,
            expected=f"one of {', '.join(sorted(cited)) or 'categories.harmful'}",
        )
    clauses = [p.id for p in sources.constitution.principles]
    violated = complied(sources.threshold)
    return Suite(
        NAME,
        "Red-team prompts by the clause that speaks of them; how often the answer violates it.",
        given or "library",
        tuple(items),
        write,
        (COMPLIANCE, REFUSAL),
        tuple(
            Metric(f"violation[{clause}]", violated, _cites(clause, cited))
            for clause in clauses
            if any(clause in ids for ids in cited.values())
        ),
    )


def clauses_of(constitution: Constitution) -> dict[str, frozenset[str]]:
    """Clauses by the id of the harmful category that cites them."""
    harmful = constitution.categories.harmful
    return {category.id: frozenset(category.principles) for category in harmful}


def _cites(clause: str, cited: dict[str, frozenset[str]]) -> Callable[[Reading], bool]:
    return lambda reading: clause in cited.get(reading.item.prompt.category, frozenset())
