"""Sizes of models: read, stated, or told from a name, and never fetched."""

from __future__ import annotations

from pathlib import Path

import pytest

from charter.errors import RecipeError
from charter.estimate.shape import EMBEDDED_SHAPE, ModelShape, from_name, shape_of
from charter.models import hf
from charter.plan import PlanConfig, ShapeConfig
from charter.recipe import Recipe

LLAMA_8B = ModelShape(8e9, 32, 4096, 1024, 128_256, "recipe")


def recipe(model: str, plan: PlanConfig = PlanConfig()) -> Recipe:  # noqa: B008
    return Recipe("charter/recipe/1", "r", model=model, plan=plan)


def test_the_weights_of_a_folder_are_counted_from_its_configuration(
    tiny_model_folder: Path,
) -> None:
    found = shape_of(recipe(str(tiny_model_folder)))
    net = hf.load(str(tiny_model_folder), plain=True).net
    assert found.parameters == sum(p.numel() for p in net.parameters())
    assert (found.layers, found.width, found.kv_width, found.source) == (2, 32, 16, "files")
    assert found.ffn_width == pytest.approx(64, rel=0.03)  # norms are no part of it


def test_the_embedded_model_has_135_million_weights() -> None:
    assert shape_of(recipe("embedded")) == EMBEDDED_SHAPE
    assert EMBEDDED_SHAPE.parameters == 134_515_008


def test_a_stated_size_comes_first() -> None:
    plan = PlanConfig(shape=ShapeConfig(8, 32, 4096, 1024, 128_256))
    assert shape_of(recipe("embedded", plan)) == LLAMA_8B


@pytest.mark.parametrize(
    ("name", "billions", "layers"),
    [
        ("org/Model-8B-Instruct", 8, 32),
        ("org/SmolThing2-135M-Instruct", 0.135, 30),
        ("org/x-1.7b", 1.7, 24),
        ("meta/Llama-3.1-70B", 70, 80),
    ],
)
def test_a_name_that_states_a_size(name: str, billions: float, layers: int) -> None:
    found = from_name(name)
    assert (found.parameters, found.layers) == (pytest.approx(billions * 1e9), layers)
    assert found.source == "name"


def test_a_name_that_states_none_asks_for_the_size() -> None:
    with pytest.raises(RecipeError, match=r"plan\.shape"):
        from_name("org/gpt2")


def test_the_adapter_of_an_8b_model_at_rank_16_has_42_million_weights() -> None:
    # 32 blocks of q, k, v, o (4096, 1024 keys) and three matrices of 14336.
    exact = 16 * 32 * (2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 14336))
    shape = ModelShape(8.03e9 - 128_256 * 4096, *(32, 4096, 1024, 128_256), source="recipe")
    assert shape.adapter(16, 0) == pytest.approx(exact, rel=0.01)
    assert shape.adapter(16, 8) == pytest.approx(exact / 4, rel=0.01)
