"""Launch files: what accelerate itself makes of them, and of the commands on the page."""

from __future__ import annotations

import dataclasses
import importlib
import re
import shlex
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
from accelerate.commands.launch import launch_command_parser
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

from charter.cli.main import cli
from charter.recipe import load

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "recipes" / "accelerate"
KINDS = {
    "ddp": DistributedType.MULTI_GPU,
    "fsdp": DistributedType.FSDP,
}
PAGE = ROOT / "docs" / "training-scale.md"
LAUNCH = re.compile(r"^accelerate launch (.+?)(?<!\\)$", re.MULTILINE | re.DOTALL)


def test_there_is_a_file_for_each_way_to_share_a_model() -> None:
    assert {file.stem for file in FOLDER.glob("*.yaml")} == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_accelerate_reads_the_file(name: str) -> None:
    found = load_config_from_file(str(FOLDER / f"{name}.yaml"))
    assert isinstance(found, ClusterConfig)
    assert found.distributed_type == KINDS[name]
    assert (found.mixed_precision, found.num_machines, found.num_processes) == ("bf16", 1, 8)


def test_every_setting_of_a_plugin_is_one_that_it_has() -> None:
    fsdp = load_config_from_file(str(FOLDER / "fsdp.yaml")).fsdp_config
    known = {f.name for f in dataclasses.fields(FullyShardedDataParallelPlugin)}
    names = {"fsdp_version": "fsdp_version", "fsdp_offload_params": "cpu_offload"}
    assert {names.get(key, key.removeprefix("fsdp_")) for key in fsdp} <= known
    assert fsdp.keys() <= vars(launch_command_parser().parse_args(["script.py"])).keys()
    assert fsdp["fsdp_version"] == 2


def commands() -> list[str]:
    return [match.replace("\\\n", " ") for match in LAUNCH.findall(PAGE.read_text())]


@pytest.mark.parametrize("line", commands())
def test_every_command_on_the_page_is_one_that_accelerate_takes(line: str) -> None:
    words = shlex.split(re.sub(r"\$(\w+)", "1", line), comments=True)
    found = launch_command_parser().parse_args(words)
    assert (ROOT / found.config_file).exists()
    assert found.module and importlib.import_module(found.training_script).main is not None
    command, name, *overrides = found.training_script_args
    assert command in cli.commands
    assert load(name, overrides).name == name


def test_the_page_has_commands_for_one_node_and_for_several() -> None:
    assert {name for name in KINDS if any(f"accelerate/{name}.yaml" in c for c in commands())} == {
        *KINDS
    }
    assert sum("--num_machines" in command for command in commands()) >= 2
