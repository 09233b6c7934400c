from __future__ import annotations

from charter.training.sampler import NOBODY, LengthWindows


def padding(order, lengths, batch):
    groups = [order[i : i + batch] for i in range(0, len(order), batch)]
    return sum(max(lengths[i] for i in g) * len(g) - sum(lengths[i] for i in g) for g in groups)


def test_every_example_comes_once_an_epoch_and_the_order_changes():
    sampler = LengthWindows([i % 7 for i in range(50)], batch=8, seed=1)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second


def test_the_order_follows_from_seed_and_epoch():
    lengths = [i % 7 for i in range(50)]
    assert list(LengthWindows(lengths, batch=8, seed=1)) == list(
        LengthWindows(lengths, batch=8, seed=1)
    )
    assert list(LengthWindows(lengths, batch=8, seed=1)) != list(
        LengthWindows(lengths, batch=8, seed=2)
    )


def test_like_lengths_lie_side_by_side_without_an_order_of_batches():
    lengths = [(37 * i) % 101 for i in range(512)]
    order = list(LengthWindows(lengths, batch=8, seed=0))
    assert padding(order, lengths, 8) < padding(list(range(512)), lengths, 8) / 3
    widths = [max(lengths[i] for i in order[s : s + 8]) for s in range(0, 512, 8)]
    assert widths != sorted(widths) and widths != sorted(widths, reverse=True)


def test_several_devices_get_full_batches_with_nobody_in_the_empty_places():
    sampler = LengthWindows([i % 7 for i in range(50)], batch=16, seed=1, even=8)
    order = list(sampler)
    assert len(order) == len(sampler) == 56
    assert order[50:] == [NOBODY] * 6 and sorted(order[:50]) == list(range(50))
    assert order[:50] == list(LengthWindows([i % 7 for i in range(50)], batch=16, seed=1))
