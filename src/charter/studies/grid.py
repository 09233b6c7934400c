"""A weak judge labels for a policy that may know better: one grid on labelled pairs.

Judge and policy are both small readouts of pairs, so that every cell of the grid is fitted in
milliseconds and on many splits. A judge's strength is what it sees (a view of the answers), how
many pairs people labelled for it, and how often its labels are flipped. A policy's strength is its
view and how many labelled pairs it knew beforehand. For each cell, on pairs of other prompts:

    label      accuracy of the judge's labels
    before     accuracy of the policy on what it knew beforehand
    after      … and the judge's labels of the other pairs
    ceiling    … and people's labels of the same pairs

    gain = after - before          recovered = (after - label) / (ceiling - label)

The last is the performance gap recovered of Burns et al. 2023 (arXiv 2312.09390, §3). Knows no
model: views come in as features. Shape suffixes: N pairs, D features, S splits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from charter.records import Record
from charter.seeds import derive
from charter.studies import ridge

PENALTY = 0.1
TEST = 0.3
"""Share of the prompts that a split keeps for testing."""
FIGURES = ("label", "before", "after", "ceiling")


class JudgeStrength(Record, frozen=True):
    """How much a judge sees, has learnt from, and how often its labels are flipped."""

    view: str
    pairs: int
    flipped: float = 0.0

    @property
    def name(self) -> str:
        """For tables."""
        noise = f", {self.flipped:.0%} flipped" if self.flipped else ""
        return f"{self.view}, {self.pairs} pairs{noise}"


class PolicyStrength(Record, frozen=True):
    """How much a policy sees, and how many labelled pairs it knew beforehand."""

    view: str
    pairs: int

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.view}, {self.pairs} pairs"


@dataclass(frozen=True, slots=True)
class Pairs:
    """Labelled pairs.

    Attributes:
        views: by name, features of the first answer less those of the second, [N, D].
        sign_N: +1 where people prefer the first answer, -1 where the second.
        prompts: what must not be on both sides of a split.
    """

    views: Mapping[str, np.ndarray]
    sign_N: np.ndarray
    prompts: Sequence[str]


def measure(
    pairs: Pairs,
    judges: Sequence[JudgeStrength],
    policies: Sequence[PolicyStrength],
    *,
    splits: int,
    seed: int,
) -> np.ndarray:
    """Whether each pair was ordered right, mean over the splits that tested it.

    Args:
        pairs: more than any judge and policy together have learnt from, with room for the test.
        judges: rows of the grid.
        policies: columns of the grid.
        splits: random divisions of the prompts into training and test.
        seed: of the divisions and the flips.

    Returns:
        [judges, policies, 4 (`FIGURES`), prompts]: nan for a prompt that was never tested. Prompts
        are in the order of `np.unique`.
    """
    names, place_N = np.unique(np.asarray(pairs.prompts), return_inverse=True)
    shape = (len(judges), len(policies), len(FIGURES), len(names))
    right, tested = np.zeros(shape), np.zeros(len(names))
    for split in range(splits):
        order = np.random.default_rng(derive(seed, "split", split)).permutation(len(names))
        held_out = order[: max(2, round(TEST * len(names)))]
        test_N = np.isin(place_N, held_out)
        tested += np.bincount(place_N[test_N], minlength=len(names))
        source = np.random.default_rng(derive(seed, "flips", split))
        train = source.permutation(np.flatnonzero(~test_N))
        for j, judge in enumerate(judges):
            for p, policy in enumerate(policies):
                found = _cell(pairs, judge, policy, train, np.flatnonzero(test_N), seed + split)
                for f, right_T in enumerate(found):
                    right[j, p, f] += np.bincount(
                        place_N[test_N], weights=right_T, minlength=len(names)
                    )
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(tested > 0, right / tested, np.nan))


def _cell(
    pairs: Pairs,
    judge: JudgeStrength,
    policy: PolicyStrength,
    train: np.ndarray,
    test: np.ndarray,
    seed: int,
) -> tuple[np.ndarray, ...]:
    """Which test pairs are ordered right, a row for each of `FIGURES`; a tie is half right."""
    sign_N, seen_ND, known_ND = pairs.sign_N, pairs.views[judge.view], pairs.views[policy.view]
    taught = train[: judge.pairs]
    judge_D = _fitted(seen_ND[taught], sign_N[taught])
    # The policy's own pairs come from the other end: what it knows is not what the judge learnt,
    # and the judge labels what neither has seen.
    own, fresh = train[::-1][: policy.pairs], train[judge.pairs : len(train) - policy.pairs]
    said_N = _flipped(np.sign(seen_ND @ judge_D), judge.flipped, seed)
    labelled = [(own, sign_N[own]), (fresh, said_N[fresh]), (fresh, sign_N[fresh])]
    before, after, ceiling = (
        _fitted(
            known_ND[np.concatenate([labelled[i][0] for i in which])],
            np.concatenate([labelled[i][1] for i in which]),
        )
        for which in ((0,), (0, 1), (0, 2))
    )
    right = [_right(said_N[test], sign_N[test])]
    right += [_right(known_ND[test] @ w, sign_N[test]) for w in (before, after, ceiling)]
    return tuple(right)


def _fitted(rows_ND: np.ndarray, sign_N: np.ndarray) -> np.ndarray:
    """A readout without an intercept: swapping the answers swaps the verdict."""
    if not len(rows_ND):
        return np.zeros(rows_ND.shape[1])
    return ridge.fit(rows_ND, sign_N, np.ones(len(rows_ND)), PENALTY)


def _flipped(sign_N: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Labels of which a share says the opposite."""
    flips_N = np.random.default_rng(derive(seed, "flip")).random(len(sign_N)) < share
    return np.asarray(np.where(flips_N, -sign_N, sign_N))


def _right(score_N: np.ndarray, sign_N: np.ndarray) -> np.ndarray:
    return np.asarray((1 + np.sign(score_N) * sign_N) / 2)
