"""The window: order is kept, memory is bounded, and what was handed out is not lost."""

from __future__ import annotations

import random
from collections.abc import Iterator

from charter.engine.window import Window


def groups(count: int) -> list[list[int]]:
    return [[number] for number in range(count)]


def test_outcomes_in_any_order_come_back_in_the_order_of_the_input() -> None:
    window, under_way, given = Window(groups(50), 7), dict[int, list[int]](), list[object]()
    chance = random.Random(0)
    under_way.update(window.draw())
    while under_way:
        assert len(under_way) <= 7
        number = chance.choice(sorted(under_way))
        given += window.accept(number, [f"did {under_way.pop(number)[0]}"])
        under_way.update(window.draw())
    assert given == [([n], [f"did {n}"]) for n in range(50)]
    assert window.finished


def test_a_slow_group_stops_the_reading() -> None:
    read = 0

    def stream() -> Iterator[list[int]]:
        nonlocal read
        for group in groups(100):
            read += 1
            yield group

    window = Window(stream(), 4)
    assert [number for number, _ in window.draw()] == [0, 1, 2, 3]
    for number in (1, 2, 3):
        assert list(window.accept(number, [])) == []
    assert list(window.draw()) == []
    assert read == 4
    assert [group for group, _ in window.accept(0, [])] == [[0], [1], [2], [3]]
    assert [number for number, _ in window.draw()] == [4, 5, 6, 7]


def test_what_was_lost_is_handed_out_again_and_taken_once() -> None:
    window = Window(groups(3), 8)
    assert len(list(window.draw())) == 3
    assert list(window.accept(1, ["one"])) == []
    assert window.unanswered() == [(0, [0]), (2, [2])]
    assert list(window.accept(0, ["zero"])) == [([0], ["zero"]), ([1], ["one"])]
    # A worker that was thought lost answers after all.
    assert list(window.accept(0, ["again"])) == []
    assert list(window.accept(1, ["again"])) == []
    assert not window.finished
    assert list(window.accept(2, ["two"])) == [([2], ["two"])]
    assert window.finished


def test_an_empty_input_is_finished_when_it_was_read() -> None:
    window = Window([], 3)
    assert not window.finished
    assert list(window.draw()) == []
    assert window.exhausted
    assert window.finished
