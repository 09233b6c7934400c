"""Worked critique-revision chains of our own: few-shot pool and the critic's training data."""

from __future__ import annotations

from importlib import resources

import msgspec

from charter.records import Record


class WorkedChain(Record, frozen=True):
    """One chain: a small model's draft, and a critique and revision of our own writing.

    `second_critique` looks at the revision under another principle and finds nothing to change.
    """

    id: str
    kind: str
    category: str
    prompt: str
    draft: str
    principle: str
    critique: str
    revision: str
    second_principle: str
    second_critique: str


def worked_chains() -> list[WorkedChain]:
    """Every chain that ships with the package."""
    file = resources.files("charter.prompts") / "library" / "chains.jsonl"
    decoder = msgspec.json.Decoder(WorkedChain)
    return [decoder.decode(line) for line in file.read_bytes().splitlines()]
