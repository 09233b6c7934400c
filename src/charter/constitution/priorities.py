"""Priorities between clauses: which clause goes before which, by itself, by its level, or by way of
a third one.

Owns the graph of priorities. Whether it goes in a circle is for `checks` to say, and what a
priority does to a label for `judging`.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

from charter.constitution.clauses import Constitution

CLEAR = 0.1
"""A vote is clear from this distance to 1/2; nearer ones contradict nobody."""
Before = Mapping[str, Set[str]]
"""Id of a clause → the clauses it goes before; those before none are left out."""


def before(document: Constitution) -> dict[str, frozenset[str]]:
    """For every clause, all that it goes before. Empty for a document without priorities."""
    known = {p.id for p in document.principles}
    if not any(p.over or p.level for p in document.principles):
        return {}
    graph = edges(document)
    reached = {id: _reached(graph, id) & known - {id} for id in known}
    return {p.id: frozenset(reached[p.id]) for p in document.principles if reached[p.id]}


def edges(document: Constitution) -> dict[str, list[str]]:
    """Principle id → those it goes before, by itself or by its level.

    A level is a node of its own (it may not clash with an id: ids have no spaces), so that a
    hundred clauses on three levels do not make ten thousand edges.
    """
    known = {p.id for p in document.principles}
    below = {p.id: [o for o in p.over if o in known] for p in document.principles}
    for upper, lower in zip(document.levels, document.levels[1:], strict=False):
        below.setdefault(f"from {upper}", []).append(f"into {lower}")
    for level in document.levels:
        below.setdefault(f"from {level}", [])
        members = [p.id for p in document.principles if p.level == level]
        below[f"into {level}"] = [*members, f"from {level}"]
    for principle in document.principles:
        if principle.level in document.levels:
            below[principle.id].append(f"from {principle.level}")
    return below


def _reached(graph: Mapping[str, list[str]], start: str) -> set[str]:
    found: set[str] = set()
    todo = [*graph[start]]
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo += graph[node]
    return found
