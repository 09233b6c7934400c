"""Known-answer tests of the labels: each bug named in the docs would fail one of these."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import pytest

from charter.judging import labeling
from charter.judging.label_statistics import label_statistics, lines
from charter.judging.labeling import label, reaggregate
from charter.records import (
    Abstention,
    Comparison,
    Labelled,
    Message,
    Origin,
    Prompt,
    Verdict,
)

ORIGIN = Origin("pairs", "test")
PRINCIPLES = [("kind", 1.0)]


def comparison(number: int, a: str, b: str) -> Comparison:
    return Comparison(f"c{number}", Prompt("p", (Message("user", "hello"),)), a, b, ORIGIN)


def planted(count: int = 200) -> tuple[list[Comparison], list[bool]]:
    """Comparisons whose better answer contains the word good, on a random side."""
    source = random.Random(0)
    sides = [source.random() < 0.5 for _ in range(count)]
    pairs = [
        comparison(i, "good" if first else "bad", "bad" if first else "good")
        for i, first in enumerate(sides)
    ]
    return pairs, sides


class PlantedJudge:
    """Prefers the answer with the word good, and whatever stands first by `bias` on top."""

    identity = "planted"

    def __init__(self, bias: float = 0.0, off_menu: frozenset[str] = frozenset()) -> None:
        self.bias, self.off_menu = bias, off_menu

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        return [
            [self._read(c, p) for p in ids] for c, ids in zip(comparisons, principles, strict=True)
        ]

    def _read(self, c: Comparison, principle: str) -> float | Abstention:
        if c.id in self.off_menu:
            return Abstention(c.id, "off_menu", self.identity)
        preferred = 0.8 if "good" in c.a else 0.2
        if principle == "unkind":
            preferred = 1 - preferred
        return min(1.0, max(0.0, preferred + self.bias))


def agreement(judge: PlantedJudge) -> float:
    pairs, sides = planted()
    labels = label(judge, pairs, [PRINCIPLES] * len(pairs))
    assert all(isinstance(found, Verdict) for found in labels)
    hits = [(found.p_a > 0.5) == first for found, first in zip(labels, sides, strict=True)]  # type: ignore[union-attr]
    return sum(hits) / len(hits)


def test_planted_preference_is_found_on_either_side() -> None:
    assert agreement(PlantedJudge()) == 1.0


def test_position_bias_cancels_in_the_average() -> None:
    pairs, _ = planted(4)
    fair = label(PlantedJudge(), pairs, [PRINCIPLES] * 4)
    biased = label(PlantedJudge(bias=0.15), pairs, [PRINCIPLES] * 4)
    for one, other in zip(fair, biased, strict=True):
        assert one.p_a == pytest.approx(other.p_a)  # type: ignore[union-attr]


def test_a_broken_unswap_destroys_the_label(monkeypatch: pytest.MonkeyPatch) -> None:
    """If un-swapping were forgotten, `test_planted_preference…` could not pass."""
    monkeypatch.setattr(labeling, "unswap", lambda p: p)
    assert agreement(PlantedJudge()) < 1.0
    pairs, _ = planted(10)
    assert {x.p_a for x in label(PlantedJudge(), pairs, [PRINCIPLES] * 10)} == {0.5}  # type: ignore[union-attr]


def test_labels_are_soft_and_keep_every_principle() -> None:
    pairs = [comparison(0, "good", "bad")]
    [found] = label(PlantedJudge(), pairs, [[("kind", 3.0), ("unkind", 1.0)]])
    assert isinstance(found, Verdict)
    assert found.p_a == pytest.approx((3 * 0.8 + 0.2) / 4)
    assert [v.principle for v in found.votes] == ["kind", "unkind"]
    assert labeling.aggregate(found.votes) == pytest.approx(found.p_a)


def test_an_abstention_is_never_a_number() -> None:
    pairs = [comparison(0, "good", "bad"), comparison(1, "good", "bad")]
    found = label(PlantedJudge(off_menu=frozenset({"c1"})), pairs, [PRINCIPLES] * 2)
    assert isinstance(found[0], Verdict)
    assert found[1] == Abstention("c1", "off_menu", "planted")


def test_no_principle_is_an_abstention() -> None:
    [found] = label(PlantedJudge(), [comparison(0, "good", "bad")], [[]])
    assert isinstance(found, Abstention) and found.reason == "no_principle"


def labelled(judge: PlantedJudge, pairs: list[Comparison]) -> list[Labelled]:
    labels = label(judge, pairs, [PRINCIPLES] * len(pairs))
    return [Labelled(c, found) for c, found in zip(pairs, labels, strict=True)]


def test_statistics_of_a_fair_judge() -> None:
    pairs, _ = planted(100)
    found = label_statistics(labelled(PlantedJudge(), pairs))
    assert found["n"] == 100 and found["abstained"] == 0
    assert found["position_consistency"].value == 1.0
    assert found["position_bias"].value == 0.5
    # "good" is the longer answer and always wins.
    assert found["length_bias"].value == 1.0


def test_statistics_catch_a_position_bias() -> None:
    pairs, _ = planted(100)
    found = label_statistics(labelled(PlantedJudge(bias=0.6), pairs))
    assert found["position_consistency"].value == 0.0
    assert found["position_bias"].value == 1.0


def test_statistics_count_abstentions_by_reason() -> None:
    pairs, _ = planted(10)
    found = label_statistics(labelled(PlantedJudge(off_menu=frozenset({"c3", "c7"})), pairs))
    assert found["abstained"] == 2
    assert found["abstention_reasons"] == {"off_menu": 2}
    assert found["position_consistency"].n == 8


def test_a_judge_locked_to_a_place_is_counted_as_such() -> None:
    pairs, _ = planted(10)
    records = labelled(PlantedJudge(bias=0.6), pairs)
    assert {round(r.label.p_a, 6) for r in records if isinstance(r.label, Verdict)} == {0.4, 0.6}
    found = label_statistics(records)
    assert (found["position_locked"].value, found["position_locked"].n) == (1.0, 10)
    assert label_statistics(labelled(PlantedJudge(), pairs))["position_locked"].value == 0.0


def test_the_figures_are_printed_with_interval_and_n() -> None:
    pairs, _ = planted(10)
    found = label_statistics(labelled(PlantedJudge(off_menu=frozenset({"c3"})), pairs))
    text = lines({**found, "self_preference": None})
    assert text[0] == "labels: 10, abstained 1 (off_menu 1)"
    assert text[1] == "position consistency: 100 % [70, 100] of 9 (same answer in both orders)"
    assert not any("self preference" in line for line in text)
    again = msgspec.json.decode(msgspec.json.encode(found))
    assert lines(again) == text
    with_one = lines({**again, "self_preference": {"value": 0.5, "low": 0.2, "high": 0.8, "n": 6}})
    assert "self preference: 50 % [20, 80] of 6" in with_one[-1]


def test_votes_can_be_weighed_anew_without_asking_anybody() -> None:
    pair = comparison(0, "good", "bad")
    [found] = label(PlantedJudge(), [pair], [[("kind", 3.0), ("unkind", 1.0)]])
    record = Labelled(pair, found)
    even = reaggregate(record, weights={"kind": 1.0, "unkind": 1.0})
    assert isinstance(even.label, Verdict) and even.label.p_a == pytest.approx(0.5)
    assert [v.p_a for v in even.label.votes] == pytest.approx([0.8, 0.2])
    one = reaggregate(record, principles=["unkind"])
    assert isinstance(one.label, Verdict)
    assert one.label.p_a == pytest.approx(0.2)
    assert one.label.votes == (found.votes[1],)  # type: ignore[union-attr]
    assert reaggregate(record) == record


def test_weighing_away_every_vote_leaves_an_abstention() -> None:
    pair = comparison(0, "good", "bad")
    record = Labelled(pair, label(PlantedJudge(), [pair], [PRINCIPLES])[0])
    for nothing in (reaggregate(record, weights={}), reaggregate(record, weights={"kind": 0.0})):
        assert isinstance(nothing.label, Abstention) and nothing.label.reason == "no_principle"
    assert reaggregate(nothing, weights={"kind": 1.0}) == nothing


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.1])
def test_what_is_no_probability_is_no_label(value: float) -> None:
    class Broken(PlantedJudge):
        def _read(self, c: Comparison, principle: str) -> float | Abstention:
            return value

    [found] = label(Broken(), [comparison(0, "good", "bad")], [PRINCIPLES])
    assert isinstance(found, Abstention) and found.reason == "not_a_probability"


def test_asking_a_judge_for_its_name_does_not_grow_with_what_it_labels() -> None:
    """The name may be a digest of megabytes: taken anew for each verdict, it cost most of all."""

    class Named(PlantedJudge):
        asked = 0

        @property
        def identity(self) -> str:
            self.asked += 1
            return "named@1"

    def asked(count: int) -> int:
        judge, (pairs, _) = Named(), planted(count)
        found = label(judge, pairs, [PRINCIPLES] * count)
        assert {verdict.judge for verdict in found} == {"named@1"}
        return judge.asked

    assert asked(30) == asked(1)
