"""What an induction found, as `--json` prints it: principles, their figures, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from charter.collective.induction.candidates import Candidate, Family, Wording
from charter.collective.induction.config import InduceConfig
from charter.collective.induction.evidence import Tally, chance
from charter.records import Record
from charter.statistics import Rate
from charter.statistics.multiple import holm

NOT_ABOVE = "not above chance"


class Learned(Record, frozen=True):
    """A principle of the document, with its evidence.

    Attributes:
        alike: titles of candidates that could not be told from it on the training pairs.
        train: its votes on the training pairs, by itself.
        train_beyond: the same for the pairs that it decides: no principle above it speaks of them.
        held_out: its votes on the held-out pairs, by itself.
        held_out_beyond: the same for those that it decides.
        p_holm: of `held_out`, adjusted for the number of principles (Holm 1979).
        p_family: of its training votes, for the best of all features tried (Westfall and Young
            1993); None where candidates were made in the light of the preferences.
        confirmed: whether `p_holm` is at or under the level.
    """

    id: str
    wording: Wording
    family: Family
    alike: tuple[str, ...]
    train: Tally
    train_beyond: Tally
    held_out: Tally
    held_out_beyond: Tally
    p_holm: float
    p_family: float | None
    confirmed: bool


class Proposals(Record, frozen=True):
    """Where the candidates came from.

    Attributes:
        by: `rules`, or the identity of a model.
        made: features tried, or different proposals.
        tested: candidates that the judge voted on.
        left_out: answers and lines of the model that could not be used, by reason.
    """

    by: str
    made: int
    tested: int
    left_out: dict[str, int] = {}


class Match(Record, frozen=True):
    """How a learned principle and a written one vote on the same pairs.

    Attributes:
        learned: id of the learned principle.
        written: id of the written one.
        correlation: of their votes, with Fisher's 95 % interval, and the number of pairs where
            both have one. None if there are too few, or one of them always says the same.
        p_holm: two-sided, adjusted for all comparisons made; None likewise.
    """

    learned: str
    written: str
    correlation: Rate | None
    p_holm: float | None


class Induced(Record, frozen=True):
    """The result."""

    above_chance: bool
    """Whether the principles together predict the held-out pairs better than coin flips."""
    verdict: str
    principles: tuple[Learned, ...]
    """In order: the first that speaks of a pair decides it."""
    train: Tally
    held_out: Tally
    """All principles together, on the held-out pairs: one test, decided beforehand."""
    longer: Rate
    """Baseline: held-out pairs in which the longer answer was preferred."""
    pairs: int
    train_pairs: int
    held_out_pairs: int
    left_out: dict[str, int]
    """Rows without a preference, by reason."""
    proposals: Proposals
    judge: str
    name: str
    config: InduceConfig
    notes: tuple[str, ...]
    digest: str
    """Of the pairs and preferences."""
    matches: tuple[Match, ...] = ()
    """Against the written principles of a run; empty without one."""


class Evidence(Record, frozen=True):
    """The four tallies of a principle; see `Learned`."""

    train: Tally
    train_beyond: Tally
    held_out: Tally
    held_out_beyond: Tally


def learned(
    candidates: Sequence[Candidate],
    evidence: Sequence[Evidence],
    p_family: dict[str, float],
    level: float,
) -> tuple[Learned, ...]:
    """The principles with their p-values adjusted for each other."""
    adjusted = holm([one.held_out.p for one in evidence]).tolist() if evidence else []
    return tuple(
        Learned(
            one.id,
            one.wording,
            one.family,
            one.alike,
            found.train,
            found.train_beyond,
            found.held_out,
            found.held_out_beyond,
            p,
            p_family.get(one.id),
            p <= level,
        )
        for one, found, p in zip(candidates, evidence, adjusted, strict=True)
    )


def verdict(found: bool, held_out: Tally, level: float) -> str:
    """The result in a sentence.

    Args:
        found: whether there is any principle.
        held_out: all of them together, on the held-out pairs.
        level: of the test.
    """
    if not found:
        return f"{NOT_ABOVE}: no principle explains more of the training pairs than it costs"
    counted = (
        f"{held_out.agree} right of {held_out.agree + held_out.against} held-out pairs "
        f"that the principles speak of (p = {held_out.p:.2g})"
    )
    return counted if held_out.p <= level else f"{NOT_ABOVE}: {counted}"


def notes(held_out: int, shared: int, found: Sequence[Learned], level: float) -> tuple[str, ...]:
    """What a reader has to know before trusting the figures.

    Args:
        held_out: pairs held out.
        shared: those about a question that training pairs are about as well.
        found: the principles.
        level: of the tests.
    """
    said = []
    if chance(held_out, held_out) > level:
        said.append(f"{held_out} held-out pairs are too few: even all right would prove nothing.")
    if shared:
        said.append(
            f"{shared} of {held_out} held-out pairs are about a question of the training pairs: "
            "the figures hold for more answers to such questions, not for other ones."
        )
    open_ones = [one.wording.title for one in found if not one.confirmed]
    if open_ones and len(found) > 1:
        said.append(
            f"{len(open_ones)} of {len(found)} principles are not confirmed by the held-out pairs "
            "each by itself, adjusted for their number."
        )
    return tuple(said)
