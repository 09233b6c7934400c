from __future__ import annotations

from typing import Any

from charter.records import Message
from charter.training.rewards import WeightedReward, pay, words

TALK = (Message("user", "good"),)


def quality(conversations: Any, answers: list[str]) -> list[float | None]:
    return [None if a == "?" else 2.0 for a in answers]


def shy(conversations: Any, answers: list[str]) -> list[float | None]:
    return [None for _ in answers]


def test_parts_are_added_by_weight_and_kept_apart() -> None:
    both = WeightedReward({"quality": (1.0, quality), "words": (-0.5, words)})
    paid = pay(both, [TALK, TALK], ["one two three", "?"])
    assert (paid[0].total, paid[0].parts) == (0.5, {"quality": 2.0, "words": 3.0})
    assert both([TALK], ["one"]) == [1.5]
    # What one part cannot say is nothing, not 0: the sample is left out.
    assert (paid[1].total, paid[1].parts) == (None, {"quality": None, "words": 1.0})


def test_a_part_without_weight_is_only_watched() -> None:
    paid = pay(WeightedReward({"quality": (1.0, quality), "shy": (0.0, shy)}), [TALK], ["a"])
    assert (paid[0].total, paid[0].parts) == (2.0, {"quality": 2.0, "shy": None})


def test_a_single_reward_is_its_own_part() -> None:
    assert pay(quality, [TALK], ["a"])[0].parts == {"reward": 2.0}
