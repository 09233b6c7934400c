"""The panel: a weighted mean of those that answered, with everybody's opinion kept."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from charter.judging.label_statistics import label_statistics
from charter.judging.labeling import label
from charter.judging.panel import Member, PanelJudge
from charter.records import Abstention, Comparison, Labelled, Verdict

from .conftest import comparison, planted

ASKED = [("kind", 1.0)]


class Fixed:
    """Gives the good answer `p`; is silent where the good answer is shown as told."""

    def __init__(self, p: float, silent: str = "") -> None:
        self.p, self.silent, self.identity = p, silent, f"fixed-{p}-{silent}"

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        return [[self._one(c) for _ in ids] for c, ids in zip(comparisons, principles, strict=True)]

    def _one(self, c: Comparison) -> float | Abstention:
        place = "first" if c.a == "good" else "second"
        if self.silent in (place, "always"):
            return Abstention(c.id, "off_menu", self.identity)
        return self.p if c.a == "good" else 1 - self.p


def panel(*judges: Fixed, quorum: int = 0, weights: Sequence[float] = (1, 1, 1, 1)) -> PanelJudge:
    members = [Member(f"m{i}", j, w) for i, (j, w) in enumerate(zip(judges, weights, strict=False))]
    return PanelJudge(members, quorum=quorum)


def verdict(judge: PanelJudge) -> Verdict | Abstention:
    return label(judge, [comparison("c", "good", "bad")], [ASKED])[0]


def test_the_mean_is_weighted_and_opinions_are_kept() -> None:
    found = verdict(panel(Fixed(0.9), Fixed(0.5), weights=(3, 1)))
    assert isinstance(found, Verdict)
    assert found.p_a == pytest.approx(0.8)
    assert found.votes[0].members == {"m0": pytest.approx(0.9), "m1": pytest.approx(0.5)}
    assert found.votes[0].spread == pytest.approx(0.2)


def test_a_planted_preference_comes_out_on_either_side() -> None:
    pairs, sides = planted()
    labels = label(panel(Fixed(0.9), Fixed(0.7)), pairs, [ASKED] * len(pairs))
    for found, first in zip(labels, sides, strict=True):
        assert isinstance(found, Verdict)
        assert found.p_a == pytest.approx(0.8 if first else 0.2)
        assert found.votes[0].members["m0"] == pytest.approx(0.9 if first else 0.1)


def test_a_member_that_fails_is_left_out_and_counted() -> None:
    found = verdict(panel(Fixed(0.9), Fixed(0.7), Fixed(0.1, silent="always")))
    assert isinstance(found, Verdict)
    assert found.p_a == pytest.approx(0.8)
    assert set(found.votes[0].members) == {"m0", "m1"} and found.votes[0].unread == 2


def test_a_member_that_answers_one_order_only_does_not_tilt_the_mean() -> None:
    """Were it heard where it answers, the two orders would be read by different panels."""
    found = verdict(panel(Fixed(0.9), Fixed(0.7), Fixed(0.1, silent="second")))
    assert isinstance(found, Verdict)
    assert found.votes[0].p_as_given == pytest.approx(0.8)
    assert found.votes[0].p_swapped == pytest.approx(0.8)


def test_below_the_quorum_it_abstains_and_says_why() -> None:
    found = verdict(panel(Fixed(0.9), Fixed(0.7, silent="always")))
    assert isinstance(found, Abstention)
    assert found.reason == "no_quorum"
    assert found.detail == "1 of 2 answered; off_menu 1"
    assert isinstance(verdict(panel(Fixed(0.9), Fixed(0.7, silent="always"), quorum=1)), Verdict)


def test_panels_may_sit_in_panels() -> None:
    inner = panel(Fixed(0.9), Fixed(0.7))
    outer = PanelJudge([Member("inner", inner), Member("other", Fixed(0.6))])
    [[p]] = outer.vote([comparison("c", "good", "bad")], [["kind"]])
    assert p == pytest.approx(0.7)


def test_the_run_reports_the_disagreement() -> None:
    pair = comparison("c", "good", "bad")
    judge = panel(Fixed(0.9), Fixed(0.5), Fixed(0.5, silent="always"))
    found = label_statistics([Labelled(pair, label(judge, [pair], [ASKED])[0])])
    assert found["mean_spread"] == pytest.approx(0.2)
    assert found["unread"] == 2


def test_weights_and_quorum_are_part_of_the_identity() -> None:
    two = (Fixed(0.9), Fixed(0.7))
    found = {
        panel(*two).identity,
        panel(*two, quorum=1).identity,
        panel(*two, weights=(2, 1)).identity,
    }
    assert len(found) == 3
