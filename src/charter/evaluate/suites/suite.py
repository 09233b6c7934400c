"""What a suite is: prompts, how a model is asked, which scorers read it, and what is counted.

A suite is data. Asking is one of the functions of `asking`, the arithmetic is `results`, and each
suite's own file joins them. An outcome is one number for one prompt, so that every metric of every
suite gets its interval, its count of the unscored and its paired test from the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from charter.records import Judge, Message, Model, Prompt, Record, Sampling, Scorer

ANSWERS = Sampling(max_tokens=64, temperature=0.7)
"""How models answer, as in a recipe's `evaluate.answers`."""
Likelihood = Callable[[Sequence[tuple[tuple[Message, ...], str]]], list[float]]
"""Mean log-probability a token of each answer after its conversation."""


class Item(Record, frozen=True):
    """One prompt of a suite, and what its source says of it.

    Attributes:
        prompt: what the model is asked.
        options: answers to choose between, in an order that says nothing.
        right: place of the keyed option, None if there is none.
        reference: an answer whose likelihood is wanted.
        facts: of the source, for the metrics: a group, a condition, a subset.
    """

    prompt: Prompt
    options: tuple[str, ...] = ()
    right: int | None = None
    reference: str = ""
    facts: dict[str, str] = {}


class Reading(Record, frozen=True):
    """What came of one item with one model. One line of `SUITE.jsonl`.

    Attributes:
        id: suite, model and prompt.
        text: what the model wrote, if it was asked to write.
        choices: the option chosen, by the way of asking; None for a way that gave nothing.
        scores: scorers' readings, by name; None is unscored.
        reason: why something is missing, "" if nothing is.
    """

    id: str
    suite: str
    model: str
    item: Item
    text: str = ""
    tokens: int = 0
    choices: dict[str, int | None] = {}
    scores: dict[str, float | None] = {}
    reason: str = ""

    def score(self, name: str) -> float | None:
        """A scorer's reading, None if it was not read."""
        return self.scores.get(name)

    def choice(self, way: str) -> int | None:
        """The option chosen by a way of asking, None if it gave nothing."""
        return self.choices.get(way)


Outcome = Callable[[Reading, Reading], float | None]
"""The number that a metric gives a prompt, from the model's reading and the reference's.

None is unscored: counted, and left out.
"""


def always(reading: Reading) -> bool:
    """Every prompt of the suite is meant."""
    return True


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a suite.

    Attributes:
        name: as in `Measurement.metric`.
        outcome: of a prompt.
        of: which prompts are meant; the others are no part of n.
        kind: `share` of outcomes in [0, 1] (Wilson), `mean` of any numbers (bootstrap), or
            `perplexity`, exp of minus the mean (bootstrap).
        corrects: the metric name under which a scorer's error rates hold for this one.
    """

    name: str
    outcome: Outcome
    of: Callable[[Reading], bool] = always
    kind: Literal["share", "mean", "perplexity"] = "share"
    corrects: str = ""


@dataclass(frozen=True, slots=True)
class Bench:
    """A model set up to be asked.

    Attributes:
        name: as it stands in the figures.
        model: writes text; None for a judge, which only chooses.
        scorers: by name.
        likelihood: how likely it finds answers; None where that cannot be known.
        judge: chooses in place of the model, under `principles` (ids).
        sampling: of what it writes.
        seed: of the whole evaluation.
    """

    name: str
    model: Model | None
    scorers: Mapping[str, Scorer] = field(default_factory=dict)
    likelihood: Likelihood | None = None
    judge: Judge | None = None
    principles: tuple[str, ...] = ()
    sampling: Sampling = ANSWERS
    seed: int = 0


Ask = Callable[[str, Sequence[Item], Bench], list[Reading]]
"""Asks a model all items of a suite (by name) and gives one reading each, in order."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite; see the module.

    Attributes:
        name: as on the command line.
        about: one sentence: what is asked and what is counted.
        source: where the prompts came from.
        items: the prompts, with their keys.
        ask: how a model is asked.
        scorers: names of the scorers that it reads with.
        metrics: what is counted.
        optional: scorers that it reads with as well, where they are at hand.
    """

    name: str
    about: str
    source: str
    items: tuple[Item, ...]
    ask: Ask
    scorers: tuple[str, ...]
    metrics: tuple[Metric, ...]
    optional: tuple[str, ...] = ()

    def prompts(self) -> list[Prompt]:
        """What the models are asked, in order."""
        return [item.prompt for item in self.items]

    def cut(self, limit: int | None) -> Suite:
        """The same suite with its first `limit` prompts."""
        kept = self.items if limit is None else self.items[:limit]
        return replace(self, items=kept)
