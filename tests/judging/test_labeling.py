"""Known-answer tests of the labels: each bug named in the docs would fail one of these."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from charter.judging import labeling
from charter.judging.label_statistics import label_statistics
from charter.judging.labeling import label
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
