"""Advice on a document as a whole: its categories, and what an overlay dropped or overruled."""

from __future__ import annotations

from collections.abc import Iterator

from charter.constitution.clauses import Constitution
from charter.constitution.findings import Remark

MOST_UNEQUAL = 2.0
"""One half may have this many times the categories of the other."""


def balance(document: Constitution) -> Iterator[Remark]:
    """Unbalanced categories, dropped clauses, clauses of the base that added ones go before."""
    yield from _categories(document)
    yield from _uncited(document)
    yield from _dropped(document)
    yield from _overruled(document)


def _categories(document: Constitution) -> Iterator[Remark]:
    harmful, harmless = (
        len(half) for half in (document.categories.harmful, document.categories.harmless)
    )
    few, many = sorted((harmful, harmless))
    if many and many > MOST_UNEQUAL * few:
        message = (
            f"{harmful} harmful and {harmless} harmless categories: a guard that learns from one "
            "half alone stops too much, or too little"
        )
        evidence = {"harmful": harmful, "harmless": harmless}
        yield Remark("unbalanced-categories", "", message, evidence)


def _uncited(document: Constitution) -> Iterator[Remark]:
    """A harmful category without a clause: a block of its content could cite nothing."""
    for category in document.categories.harmful:
        if not category.principles:
            message = (
                f"harmful category {category.id!r} cites no principle: what it stops has no reason"
            )
            yield Remark("uncited-category", "", message, {"category": category.id})


def _dropped(document: Constitution) -> Iterator[Remark]:
    for change in document.changelog:
        if change.kind == "drop":
            named = ", ".join(change.principles)
            message = f"clause {named} of the base does not hold here: {change.note}"
            evidence = {"dropped": list(change.principles), "version": change.version}
            yield Remark("dropped-clause", "", message, evidence)


def _overruled(document: Constitution) -> Iterator[Remark]:
    if not document.made_from:
        return
    inherited = {id for reference in document.made_from for id in reference.principles}
    for principle in document.principles:
        overruled = [id for id in principle.over if id in inherited]
        if principle.id not in inherited and overruled:
            message = f"this added clause goes before {', '.join(overruled)} of the base"
            yield Remark("overruled-clause", principle.id, message, {"over": overruled})
