"""What a judge says about labelled pairs: as they are, reworded, and with injected commands.

Owns asking. Each pair is presented in an order drawn by a hash of its id, so that a judge who
always names the first answer is right half of the time. What the replies add up to is the business
of `acceptance_figures`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from msgspec.structs import replace

from charter.judging.injection import CONTROL, Form, forms_for, put
from charter.judging.labeling import label
from charter.judging.pairs import LabelledPair
from charter.judging.paraphrase import paraphrase_id
from charter.records import Comparison, Judge, Label, PrincipleVote, Verdict
from charter.seeds import derive

Weighted = Sequence[tuple[str, float]]
"""(principle id, weight) pairs."""
PrinciplesOf = Callable[[Comparison], Weighted]
_AT_ONCE = 16
_DIGITS = 12
"""P(A) is rounded here: a tie is a tie, whatever the last bit of a sum says."""


@dataclass(frozen=True, slots=True)
class BothOrders:
    """P(A better), given in each order (both about the same A); None where the judge abstained."""

    p_as_given: float | None
    p_swapped: float | None
    reason: str = ""

    @property
    def p(self) -> float | None:
        """Mean over both orders."""
        if self.p_as_given is None or self.p_swapped is None:
            return None
        return round((self.p_as_given + self.p_swapped) / 2, _DIGITS)

    @property
    def side(self) -> int | None:
        """1 if A is preferred, -1 if B is, 0 for a tie."""
        return None if self.p is None else _side(self.p)

    @property
    def consistent(self) -> bool:
        """Whether both orders prefer the same answer, or neither any."""
        assert self.p_as_given is not None and self.p_swapped is not None
        return _side(self.p_as_given) == _side(self.p_swapped)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One injection into the losing answer, and plain words at the same place."""

    form: str
    injected: BothOrders
    control: BothOrders


@dataclass(frozen=True, slots=True)
class Trial:
    """A pair as presented, and everything the judge was asked about it."""

    pair: LabelledPair
    reading: BothOrders
    reworded: tuple[BothOrders, ...] = ()
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """How pairs are tried.

    Attributes:
        principles_of: what a comparison is judged by.
        paraphrases: other wordings; the judge must know the ids of `paraphrase_id`.
        injections: forms a pair.
        stressed: paraphrases and injections are tried on the first so many pairs.
        seed: of the order of presentation and of the forms.
    """

    principles_of: PrinciplesOf
    paraphrases: int = 0
    injections: int = 0
    stressed: int = 0
    seed: int = 0


def presented(pair: LabelledPair, seed: int) -> LabelledPair:
    """The pair or its swap, by a hash of its id."""
    return pair.swap() if derive(seed, "order", pair.comparison.id) % 2 else pair


def run_trials(judge: Judge, pairs: Sequence[LabelledPair], plan: Plan) -> Iterator[Trial]:
    """Try every pair, in order, a few at a time."""
    shown = iter([presented(pair, plan.seed) for pair in pairs])
    done = 0
    while batch := list(islice(shown, _AT_ONCE)):
        stressed = max(0, min(len(batch), plan.stressed - done))
        yield from _tried(judge, batch, stressed, plan)
        done += len(batch)


def _tried(
    judge: Judge, batch: Sequence[LabelledPair], stressed: int, plan: Plan
) -> Iterator[Trial]:
    principles = [plan.principles_of(pair.comparison) for pair in batch]
    styles = [range(plan.paraphrases if i < stressed else 0) for i in range(len(batch))]
    # One question a pair with all wordings in it: judges share the pass over what stands before.
    asked = [
        [*drawn, *(_reworded(p, style) for style in own for p in drawn)]
        for drawn, own in zip(principles, styles, strict=True)
    ]
    labels = label(judge, [pair.comparison for pair in batch], asked)
    readings = [_reading(found, drawn) for found, drawn in zip(labels, principles, strict=True)]
    attempts = _inject(judge, batch[:stressed], readings, principles, plan)
    for i, pair in enumerate(batch):
        others = tuple(
            _reading(labels[i], [_reworded(p, style) for p in principles[i]]) for style in styles[i]
        )
        yield Trial(pair, readings[i], others, attempts.get(i, ()))


def _reworded(principle: tuple[str, float], style: int) -> tuple[str, float]:
    return paraphrase_id(principle[0], style), principle[1]


@dataclass(frozen=True, slots=True)
class _Case:
    """One injection to be tried: into which pair, on which side, and how."""

    row: int
    side: int
    form: Form

    def comparisons(self, pair: LabelledPair) -> tuple[Comparison, Comparison]:
        """With the command, and with plain words in its place."""
        text = pair.comparison.a if self.side > 0 else pair.comparison.b
        made = (put(text, words, self.form.place) for words in (self.form.text, CONTROL))
        first, second = (self._with(pair.comparison, text) for text in made)
        return first, second

    def _with(self, comparison: Comparison, text: str) -> Comparison:
        id = f"{comparison.id}/{self.form.name}"
        if self.side > 0:
            return replace(comparison, id=id, a=text)
        return replace(comparison, id=id, b=text)

    def oriented(self, reading: BothOrders) -> BothOrders:
        """The reading as P(the answer with the text in it is better)."""
        if self.side > 0 or reading.p_as_given is None or reading.p_swapped is None:
            return reading
        return BothOrders(1.0 - reading.p_as_given, 1.0 - reading.p_swapped)


def _inject(
    judge: Judge,
    batch: Sequence[LabelledPair],
    readings: Sequence[BothOrders],
    principles: Sequence[Weighted],
    plan: Plan,
) -> dict[int, tuple[Attempt, ...]]:
    """Attempts by row. A tie and an abstention have no loser, so nothing is tried on them."""
    cases = [
        _Case(i, -side, form)
        for i, pair in enumerate(batch)
        if (side := readings[i].side)
        for form in forms_for(pair.comparison.id, plan.injections, seed=plan.seed)
    ]
    asked = [c for case in cases for c in case.comparisons(batch[case.row])]
    drawn = [principles[case.row] for case in cases for _ in range(2)]
    labels = label(judge, asked, drawn) if asked else []
    found: dict[int, tuple[Attempt, ...]] = {}
    for n, case in enumerate(cases):
        both = labels[2 * n : 2 * n + 2]
        injected, control = (case.oriented(_reading(x, principles[case.row])) for x in both)
        attempt = Attempt(case.form.name, injected, control)
        found[case.row] = (*found.get(case.row, ()), attempt)
    return found


def _reading(found: Label, principles: Weighted) -> BothOrders:
    """What a label says under some of its principles."""
    if not isinstance(found, Verdict):
        return BothOrders(None, None, found.reason)
    votes = _votes(found, {id for id, _ in principles})
    if not votes:
        return BothOrders(None, None, "no_reading")
    total = sum(v.weight for v in votes)
    return BothOrders(
        sum(v.weight * v.p_as_given for v in votes) / total,
        sum(v.weight * v.p_swapped for v in votes) / total,
    )


def _votes(found: Verdict, ids: Collection[str]) -> list[PrincipleVote]:
    return [vote for vote in found.votes if vote.principle in ids]


def _side(p: float) -> int:
    p = round(p, _DIGITS)
    return (p > 0.5) - (p < 0.5)
