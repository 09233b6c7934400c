"""Tasks: which blocks are laid over a recipe."""

from __future__ import annotations

from typing import Any

import pytest

from charter.errors import RecipeError
from charter.tasks import lay_over

PLAIN: dict[str, Any] = {
    "task": "short",
    "rl": {"method": "ppo", "ppo": {"steps": 5, "beta": 0.1}},
    "tasks": {
        "short": {"rl": {"ppo": {"steps": 1}}},
        "other": {"rl": {"method": "dpo"}, "seed": 3},
    },
}


def test_blocks_are_merged_key_by_key() -> None:
    assert lay_over(PLAIN, [], "f")["rl"] == {"method": "ppo", "ppo": {"steps": 1, "beta": 0.1}}
    assert PLAIN["rl"]["ppo"]["steps"] == 5


def test_the_command_line_picks_and_the_last_one_holds() -> None:
    found = lay_over(PLAIN, ["task=short", "seed=9", "task=other"], "f")
    assert (found["task"], found["seed"], found["rl"]["method"]) == ("other", 3, "dpo")
    assert found["rl"]["ppo"]["steps"] == 5


def test_without_a_task_nothing_changes() -> None:
    plain = {"name": "x", "tasks": {"a": {"name": "y"}}}
    assert lay_over(plain, [], "f") is plain


@pytest.mark.parametrize(
    ("plain", "expected"),
    [({"tasks": {"a": {}}}, "one of a"), ({}, "a recipe with tasks"), ({"tasks": 3}, "a recipe")],
)
def test_an_unknown_task_names_those_there_are(plain: dict[str, Any], expected: str) -> None:
    with pytest.raises(RecipeError) as caught:
        lay_over(plain, ["task=b"], "file.yaml")
    assert caught.value.field == "task" and caught.value.file == "file.yaml"
    assert expected in str(caught.value.expected)
