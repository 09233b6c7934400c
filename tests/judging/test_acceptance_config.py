"""Thresholds that make no sense are refused, by name."""

from __future__ import annotations

import pytest

from charter import recipe
from charter.errors import RecipeError
from charter.judging.acceptance_config import AcceptanceConfig


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_ece", 1.5), ("min_agreement", -0.1), ("paraphrases", 99), ("injections", -1)],
)
def test_out_of_range(name: str, value: float) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe.load("smoke", [f"acceptance.{name}={value}"])
    assert caught.value.field == f"acceptance.{name}"


def test_the_block_is_read() -> None:
    assert recipe.load("smoke").acceptance == AcceptanceConfig()
    assert recipe.load("smoke", ["acceptance.injections=0"]).acceptance.injections == 0
