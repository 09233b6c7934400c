"""The `engine:` and `storage:` blocks of a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from charter import recipe
from charter.engine import choosing
from charter.engine.config import EngineConfig, named
from charter.engine.mapping import current, in_process
from charter.errors import InputError, RecipeError, WorkError


def test_the_name_of_an_engine_stands_for_its_defaults() -> None:
    assert recipe.load("smoke").engine == EngineConfig("local")
    assert recipe.load("smoke", ["engine=ray"]).engine == EngineConfig("ray")
    block = recipe.load("smoke", ["engine.kind=ray", "engine.actors=7"]).engine
    assert (block.kind, block.actors) == ("ray", 7)


def test_storage_is_a_block() -> None:
    found = recipe.load("smoke", ["storage.url=s3://bucket/x", "storage.shard_mb=64"]).storage
    assert (found.url, found.shard_mb) == ("s3://bucket/x", 64)


@pytest.mark.parametrize(
    ("override", "field"),
    [
        ("engine=slurm", "engine.kind"),
        ("engine={kind: ray, actors: 2, min_actors: 3}", "engine.min_actors"),
        ("engine={kind: local, address: auto}", "engine.address"),
        ("engine={kind: ray, address: 'ray://head:10001'}", "engine.address"),
        ("engine={kind: ray, actor: 3}", "engine.actor"),
        ("storage.shard_mb=0", "storage.shard_mb"),
    ],
)
def test_what_is_wrong_is_named(override: str, field: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe.load("smoke", [override])
    assert caught.value.field == field


def test_local_needs_no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_RAY", "charter.engine.no_such_module")
    with choosing.chosen(EngineConfig("local")):
        assert current() is in_process
    with (
        pytest.raises(WorkError, match=r"pip install 'charter-cai\[ray\]'"),
        choosing.chosen(EngineConfig("ray")),
    ):
        pass


def test_a_recipe_file_may_name_the_engine(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("format: charter/recipe/1\nname: mine\nengine: ray\n")
    assert recipe.load(file).engine.kind == "ray"


def test_a_command_names_an_engine_as_a_recipe_does() -> None:
    assert named("local", by="--engine") == EngineConfig()
    assert named("ray", by="--engine") == EngineConfig("ray")
    block = named("{kind: ray, actors: 4, cpus: 0.1}", by="--engine")
    assert (block.kind, block.actors, block.cpus) == ("ray", 4, 0.1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slurm", "'--engine'.*'slurm'.*expected local, ray"),
        ("{kind: ray, actor: 3}", "'--engine'.*`actor`"),
        ("{kind: ray, min_actors: 3}", "'engine.min_actors'"),
        ("[1]", "'--engine'"),
        ("", "'--engine'"),
        ("{", "--engine:1: not valid YAML"),
    ],
)
def test_an_engine_that_a_command_cannot_name(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        named(text, by="--engine")
