from __future__ import annotations

import random

from charter.report.sample import Sample, SampleByKind


def _sampled(keys: list[str], size: int) -> list[str]:
    sample = Sample[str](size)
    for key in keys:
        sample.add(key, key)
    return [group[0] for group in sample.groups()]


def test_order_of_arrival_does_not_matter() -> None:
    keys = [f"p{i}" for i in range(500)]
    shuffled = random.Random(1).sample(keys, len(keys))
    assert _sampled(keys, 20) == _sampled(shuffled, 20)
    assert len(_sampled(keys, 20)) == 20


def test_two_streams_over_the_same_prompts_give_the_same_prompts() -> None:
    few, many = (Sample[tuple[str, int]](5) for _ in range(2))
    for i in range(100):
        few.add(f"p{i}", (f"p{i}", 0))
        for model in range(3):
            many.add(f"p{i}", (f"p{i}", model))
    assert [g[0][0] for g in few.groups()] == [g[0][0] for g in many.groups()]
    assert all([model for _, model in group] == [0, 1, 2] for group in many.groups())


def test_every_key_is_equally_likely() -> None:
    """Over many key sets, first and last arrivals are kept alike: about 1 in 10 of them."""
    rounds = [_sampled([f"{r}-{i}" for i in range(50)], 5) for r in range(400)]
    first = sum(f"{r}-0" in kept for r, kept in enumerate(rounds))
    last = sum(f"{r}-49" in kept for r, kept in enumerate(rounds))
    assert 15 < first < 70
    assert 15 < last < 70


def test_fewer_keys_than_places_are_all_kept() -> None:
    assert sorted(_sampled(["a", "b"], 5)) == ["a", "b"]
    assert _sampled(["a"], 0) == []


def test_memory_is_bounded_for_one_key_and_for_many() -> None:
    sample = Sample[int](3)
    for i in range(10_000):
        sample.add(f"k{i}", i)
        sample.add("same", i)
    groups = sample.groups()
    assert len(groups) <= 3
    assert sum(map(len, groups)) < 100
    assert len(sample._kept) == len(sample._heap) == 3


def test_a_common_kind_does_not_crowd_out_a_rare_one() -> None:
    sample = SampleByKind[str]({"redteam": 4, "benign": 2}, other=1)
    for i in range(1000):
        sample.add("redteam", f"r{i}", "redteam")
    sample.add("benign", "b", "benign")
    sample.add("custom", "c", "custom")
    assert [g[0] for g in sample.groups()] == ["redteam"] * 4 + ["benign", "custom"]
