"""Canaries: pairs of our own writing with an obvious right answer, for any constitution's tags.

A judge that misses these will not get the hard pairs right. The better answer is the longer one
about as often as not, so "longer wins" earns nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources

import msgspec

from charter.constitution.document import Constitution
from charter.judging.pairs import LabelledPair
from charter.records import Comparison, Message, Origin, Prompt, Record


class Canary(Record, frozen=True):
    """A prompt, a good and a bad answer, and the tag of the principles that tell them apart."""

    id: str
    tag: str
    kind: str
    prompt: str
    better: str
    worse: str

    def pair(self) -> LabelledPair:
        """As a labelled pair, the better answer first."""
        prompt = Prompt(f"canary/{self.id}", (Message("user", self.prompt),), self.kind)
        origin = Origin("canaries", "people")
        return LabelledPair(Comparison(prompt.id, prompt, self.better, self.worse, origin), 1.0)


@cache
def canaries() -> tuple[Canary, ...]:
    """All of them, in file order."""
    file = resources.files("charter.judging") / "library" / "canaries.jsonl"
    return tuple(msgspec.json.Decoder(Canary).decode_lines(file.read_bytes()))


def principles_for(canary: Canary, constitution: Constitution) -> Sequence[tuple[str, float]]:
    """(id, weight) of the principles with the canary's tag; none if the document has no such.

    A document that is silent on a matter cannot be failed for it, so such a canary is left out.
    """
    return [(p.id, p.weight) for p in constitution.principles if canary.tag in p.tags]
