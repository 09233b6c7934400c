"""Which principles are in question, and how often each is drawn."""

from __future__ import annotations

from collections import Counter

from charter.constitution.document import Categories, Category, Constitution, Principle
from charter.constitution.drawing import draw, relevant, tagged
from charter.seeds import draws


def principle(id: str, *tags: str, weight: float = 1.0) -> Principle:
    return Principle(id, id, "text", "critique", "revise", "Which?", weight, tags)


BOTH = Constitution(
    "charter/constitution/1",
    "test",
    "1",
    (principle("all", "general"), principle("theft", "harm"), principle("hate", "harm")),
    categories=Categories((Category("stealing", "Stealing", "text", ("theft",)),)),
)


def test_a_category_brings_what_it_cites_and_what_is_general() -> None:
    assert [p.id for p in relevant(BOTH, "stealing")] == ["all", "theft"]
    assert [p.id for p in relevant(BOTH, "unknown")] == ["all"]


def test_tags_choose_and_all_stand_in_for_none() -> None:
    assert [p.id for p in tagged(BOTH, ["harm"])] == ["theft", "hate"]
    assert [p.id for p in tagged(BOTH, ["nobody"])] == ["all", "theft", "hate"]


def test_a_draw_follows_the_weights_and_the_seed() -> None:
    pool = [principle("light"), principle("heavy", weight=3.0)]
    drawn = [draw(pool, draws(0, number)).id for number in range(2000)]
    assert drawn == [draw(pool, draws(0, number)).id for number in range(2000)]
    # 1500 expected; five standard deviations are 97.
    assert abs(Counter(drawn)["heavy"] - 1500) < 97
