"""Traits of an answer that can be counted: length, politeness, hedging, lists, numbers, names ….

The table is `library/traits.yaml`; each trait is a pattern, and what to do with its matches. Rules
of thumb on English text: a count of polite words is no measure of politeness, but it votes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

import msgspec

from charter import yaml_tree
from charter.collective.induction.candidates import Feature, Measure, Wording
from charter.errors import DataError
from charter.records import Record


class Trait(Record, frozen=True):
    """One row of the table.

    Attributes:
        pattern: what is counted (a regular expression).
        over: what the count is divided by; not divided if empty.
        presence: whether it is there at all, in place of how often.
        new: leave out matches that stand in the question.
        cased: whether upper and lower case differ.
        margin: relative difference up to which two answers are equal.
    """

    id: str
    pattern: str
    more: Wording
    less: Wording
    over: str = ""
    presence: bool = False
    new: bool = False
    cased: bool = False
    margin: float = 0.0


@cache
def features() -> tuple[Feature, ...]:
    """All shipped traits."""
    file = resources.files("charter.collective.induction") / "library" / "traits.yaml"
    tree = yaml_tree.parse(file.read_text(encoding="utf-8"), file=file.name, kind=DataError)
    # Through JSON: the parser's numbers are of types of its own.
    traits = msgspec.json.decode(json.dumps(tree["traits"]), type=tuple[Trait, ...])
    return tuple(_feature(trait) for trait in traits)


@dataclass(frozen=True, slots=True)
class _Counter:
    """Counts a trait in an answer."""

    trait: Trait
    pattern: re.Pattern[str]
    over: re.Pattern[str]

    def __call__(self, question: str, answer: str) -> float:
        found = [match[0] for match in self.pattern.finditer(answer)]
        if self.trait.new:
            asked = question.lower()
            found = [text for text in found if text.lower() not in asked]
        if self.trait.presence:
            return float(bool(found))
        if not self.trait.over:
            return float(len(found))
        return len(found) / max(1, sum(1 for _ in self.over.finditer(answer)))


def _feature(trait: Trait) -> Feature:
    flags = re.MULTILINE if trait.cased else re.MULTILINE | re.IGNORECASE
    measure: Measure = _Counter(
        trait, re.compile(trait.pattern, flags), re.compile(trait.over, flags)
    )
    return Feature(trait.id, "trait", measure, trait.more, trait.less, trait.margin)
