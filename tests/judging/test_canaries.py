"""Canaries: enough of them, on the shipped constitution's tags, and no prize for length."""

from __future__ import annotations

from charter.constitution import document
from charter.judging.canaries import canaries, principles_for

CONSTITUTION = document.load("default")


def test_there_are_enough_and_each_has_principles() -> None:
    assert len(canaries()) >= 20
    assert len({c.id for c in canaries()}) == len(canaries())
    for canary in canaries():
        found = principles_for(canary, CONSTITUTION)
        assert found, canary.id
        assert all(canary.tag in CONSTITUTION.principle(id).tags for id, _ in found)


def test_every_tag_of_the_shipped_constitution_but_general_has_one() -> None:
    tags = {tag for p in CONSTITUTION.principles for tag in p.tags}
    assert tags - {c.tag for c in canaries()} == {"general"}


def test_length_earns_nothing() -> None:
    longer = sum(len(c.better) > len(c.worse) for c in canaries())
    assert abs(longer - len(canaries()) / 2) <= 2


def test_a_canary_is_a_pair_with_the_better_answer_first() -> None:
    for canary in canaries():
        pair = canary.pair()
        assert pair.p_a == 1.0 and pair.comparison.a == canary.better
        assert canary.kind == ("redteam" if pair.comparison.prompt.kind == "redteam" else "benign")
