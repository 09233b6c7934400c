"""Learned principles against written ones, with correlations computed another way."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr

from charter.collective.induction.ballots import Ballots
from charter.collective.induction.matching import FEWEST, closest, match
from charter.records import (
    Abstention,
    Comparison,
    Label,
    Labelled,
    Message,
    Origin,
    PrincipleVote,
    Prompt,
    Verdict,
)

N = 30
IDS = [f"c{n}" for n in range(N)]
SOURCE = np.random.default_rng(0)
TRUE = SOURCE.choice([-1, 1], N)
OTHER = SOURCE.choice([-1, 1], N)


def labelled(id: str, votes: dict[str, float]) -> Labelled:
    comparison = Comparison(id, Prompt("p", (Message("user", "q"),)), "a", "b", Origin("t", "m"))
    cast = tuple(PrincipleVote(name, p, p) for name, p in votes.items())
    label: Label = Verdict(id, 0.7, cast, "j") if cast else Abstention(id, "timeout", "j")
    return Labelled(comparison, label)


def run_of(**written: np.ndarray) -> list[Labelled]:
    return [
        labelled(id, {name: 0.5 + 0.3 * v[n] for name, v in written.items() if v[n]})
        for n, id in enumerate(IDS)
    ]


def ballots(*rows: np.ndarray) -> Ballots:
    votes = np.array(rows, dtype=np.int8)
    return Ballots(votes, np.ones_like(votes, dtype=np.bool_))


def test_the_written_principle_that_votes_alike_comes_first() -> None:
    found = match(["x", "y"], ballots(TRUE, -OTHER), IDS, run_of(true=TRUE, other=OTHER))
    assert [(one.learned, one.written) for one in found[::2]] == [("x", "true"), ("y", "true")]
    best = closest(found)["x"]
    assert best.correlation is not None and best.p_holm is not None
    assert best.correlation.value == pytest.approx(1.0)
    assert best.p_holm < 1e-6
    opposite = next(one for one in found if (one.learned, one.written) == ("y", "other"))
    assert opposite.correlation is not None
    assert opposite.correlation.value == pytest.approx(-1.0)


def test_the_correlation_is_that_of_the_pairs_in_both_orders() -> None:
    noisy = np.where(np.arange(N) % 4 == 0, -TRUE, TRUE)
    [one] = match(["x"], ballots(noisy), IDS, run_of(true=TRUE))
    assert one.correlation is not None
    both = pearsonr(np.r_[noisy, -noisy], np.r_[TRUE, -TRUE])[0]
    assert one.correlation.value == pytest.approx(both)
    assert one.correlation.low < both < one.correlation.high
    assert one.correlation.n == N


def test_calling_other_answers_a_changes_nothing() -> None:
    flips = SOURCE.choice([-1, 1], N)
    noisy = np.where(np.arange(N) % 5 == 0, -TRUE, TRUE)
    one = match(["x"], ballots(noisy), IDS, run_of(true=TRUE))
    other = match(["x"], ballots(noisy * flips), IDS, run_of(true=TRUE * flips))
    assert one[0].correlation == other[0].correlation


def test_too_few_votes_or_none_are_no_match() -> None:
    rare = np.where(np.arange(N) < FEWEST - 1, TRUE, 0)
    mute = np.zeros(N)
    found = match(["x"], ballots(TRUE), IDS, run_of(rare=rare))
    assert [(one.correlation, one.p_holm) for one in found] == [(None, None)]
    [silent] = match(["x"], ballots(mute), IDS, run_of(true=TRUE))
    assert silent.correlation is None
    assert closest(found) == {}


def test_pairs_that_were_abstained_from_are_left_out() -> None:
    half = np.where(np.arange(N) % 2 == 0, TRUE, 0)
    [one] = match(["x"], ballots(TRUE), IDS, run_of(true=half))
    assert one.correlation is not None
    assert one.correlation.n == N // 2
