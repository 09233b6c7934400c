"""Making the probes of a whole document: by a model where there is one, and from templates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from charter.constitution.clauses import Constitution
from charter.constitution.probing.inventing import from_model
from charter.constitution.probing.probe import Merged, Probe, merge
from charter.constitution.probing.scenes import from_templates
from charter.records import Model

PER_PRINCIPLE = 6


class Made(NamedTuple):
    """The probes, what became of earlier ones, and what of a model's was left out, by reason."""

    merged: Merged
    left_out: dict[str, int]


def make(
    document: Constitution,
    earlier: Sequence[Probe] = (),
    *,
    count: int = PER_PRINCIPLE,
    seed: int = 0,
    model: Model | None = None,
) -> Made:
    """Probes for every clause.

    Args:
        document: the clauses.
        earlier: what the file holds; see `probe.merge`.
        count: temptations a clause, each with its twin.
        seed: of the choice of templates, and of the requests.
        model: asked first; templates fill up what it leaves.
    """
    invented, left_out = from_model(model, document.principles, count, seed) if model else ({}, {})
    made: list[Probe] = []
    for principle in document.principles:
        mine = invented.get(principle.id, [])
        made += mine
        made += from_templates(principle, count - len(mine) // 2, seed)
    return Made(merge(made, earlier, document), left_out)
