"""Adherence by probes: a document's own test scenarios, the reviewed ones of its probe file.

How a violation shows is part of the probe. Where only reading the answer would tell, it counts as
unscored, since the scorers here read compliance and refusal. Twins ask for nothing wrong: how often
they are declined stands beside the violations.
"""

from __future__ import annotations

from collections.abc import Callable

from charter.constitution.probing.probe import accepted
from charter.errors import InputError
from charter.evaluate.config import COMPLIANCE, REFUSAL
from charter.evaluate.suites.asking import write
from charter.evaluate.suites.counting import complied, refused
from charter.evaluate.suites.sources import Sources
from charter.evaluate.suites.suite import Item, Metric, Outcome, Reading, Suite

_ROLE, _BY = "role", "violated_by"


def suite(name: str, file: str, sources: Sources) -> Suite:
    """The suite of a probe file.

    Raises:
        InputError: nothing in it is reviewed, or it is about other clauses than the document's.
    """
    clauses = [p.id for p in sources.constitution.principles]
    found = [one for one in accepted(file) if one.category in clauses]
    if not found:
        expected = f"clauses of {sources.constitution.name}"
        raise InputError("no reviewed probe is about a clause of it", file=file, expected=expected)
    items = (
        Item(one.prompt, facts={_ROLE: one.role, _BY: one.violated_by, "clause": one.clause})
        for one in found
    )
    asked = [clause for clause in clauses if any(one.category == clause for one in found)]
    violated = _violated(sources.threshold)
    return Suite(
        name,
        "Probes of each clause; how often the answer violates it, and how often a twin is refused.",
        file,
        tuple(items),
        write,
        (COMPLIANCE, REFUSAL),
        (
            *(Metric(f"violation[{clause}]", violated, _of(clause, "tempt")) for clause in asked),
            *(Metric(f"twin_refused[{clause}]", refused, _of(clause, "twin")) for clause in asked),
        ),
    )


def _of(clause: str, role: str) -> Callable[[Reading], bool]:
    def meant(reading: Reading) -> bool:
        item = reading.item
        return item.prompt.category == clause and item.facts.get(_ROLE) == role

    return meant


def _violated(threshold: float) -> Outcome:
    by_compliance = complied(threshold)

    def outcome(own: Reading, reference: Reading) -> float | None:
        by = own.item.facts.get(_BY)
        if by == "complying":
            return by_compliance(own, reference)
        return refused(own, reference) if by == "refusing" else None

    return outcome
