"""Ids for candidates, made from their titles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from charter.collective.induction.candidates import Candidate
from charter.constitution.formats.given import slug


def distinct_ids(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The same candidates with an id each; a number tells equal titles apart."""
    taken: Counter[str] = Counter()
    named = []
    for one in candidates:
        base = slug(one.wording.title) or "principle"
        id = base
        while taken[id]:
            taken[base] += 1
            id = f"{base}-{taken[base]}"
        taken[id] += 1
        named.append(replace(one, id=id))
    return named
