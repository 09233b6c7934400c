"""Ids that a resumed stage has dealt with: exact, also when there are many."""

from __future__ import annotations

from contextlib import closing

from charter.engine.done import Done


def test_it_knows_what_was_added_and_nothing_else() -> None:
    with closing(Done(["a", "b", "b", "ü/1"])) as done:
        assert done.among(["b", "c", "ü/1", "B"]) == {"b", "ü/1"}


def test_none_are_among_nothing() -> None:
    with closing(Done([])) as done:
        assert done.among(["a"]) == set()


def test_more_ids_than_one_statement_takes() -> None:
    with closing(Done(f"id{n}" for n in range(0, 3000, 2))) as done:
        assert len(done.among([f"id{n}" for n in range(3000)])) == 1500
