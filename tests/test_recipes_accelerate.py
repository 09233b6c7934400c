"""Launch files: what accelerate itself makes of them, and of the commands on the page."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
from accelerate.commands.launch import launch_command_parser
from accelerate.utils import DeepSpeedPlugin, DistributedType, FullyShardedDataParallelPlugin

from charter.recipe import load
from charter.records import Demonstration, Message, Origin, Prompt
from charter.store import RunFolder

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "recipes" / "accelerate"
KINDS = {
    "ddp": DistributedType.MULTI_GPU,
    "fsdp": DistributedType.FSDP,
    "zero3": DistributedType.DEEPSPEED,
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
    zero = load_config_from_file(str(FOLDER / "zero3.yaml")).deepspeed_config
    known = {f.name for f in dataclasses.fields(DeepSpeedPlugin)} | {"deepspeed_multinode_launcher"}
    assert set(zero) <= known
    assert zero["zero_stage"] == 3 and fsdp["fsdp_version"] == 2


def commands() -> list[str]:
    return [match.replace("\\\n", " ") for match in LAUNCH.findall(PAGE.read_text())]


@pytest.mark.parametrize("line", commands())
def test_every_command_on_the_page_is_one_that_accelerate_takes(line: str) -> None:
    words = shlex.split(re.sub(r"\$(\w+)", "1", line), comments=True)
    found = launch_command_parser().parse_args(words)
    assert (ROOT / found.config_file).exists()
    assert (ROOT / found.training_script).exists()
    stage, name, _, *overrides = found.training_script_args
    assert stage in ("sft", "preference", "dpo")
    assert load(name, overrides).name == name


def test_the_page_has_commands_for_one_node_and_for_several() -> None:
    assert {name for name in KINDS if any(f"accelerate/{name}.yaml" in c for c in commands())} == {
        *KINDS
    }
    assert sum("--num_machines" in command for command in commands()) >= 3


@pytest.fixture
def run_folder(tiny_model_folder: Path, tmp_path: Path) -> Path:
    """A recipe whose run has demonstrations, as `charter sft` would have made them."""
    run, origin = tmp_path / "run", Origin("sft", "tiny")
    stage = RunFolder(run).stage("sft_data", "made for a test")
    log = stage.log(Demonstration)
    for i in range(6):
        prompt = Prompt(f"p{i}", (Message("user", "Tell me a story."),))
        log.append([Demonstration(f"d{i}", prompt, f"good apple {i}", "helpful", "", origin)])
    stage.finish(0.0, {})
    train = {"batch_size": 2, "lora_rank": 2, "epochs": 2.0, "learning_rate": 1e-2}
    recipe = {
        "format": "charter/recipe/1",
        "name": "tiny",
        "run": str(run),
        "model": str(tiny_model_folder),
        "critique": {"critic": "few-shot"},
        "sft": {"train": train},
    }
    (tmp_path / "tiny.yaml").write_text(json.dumps(recipe))
    return tmp_path


def trained(folder: Path, *launcher: str) -> str:
    script, recipe, out = FOLDER / "train.py", folder / "tiny.yaml", folder / "out"
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, *launcher, str(script), "sft", str(recipe), str(out)],
        capture_output=True,
        text=True,
        env=env,
        timeout=580,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (out / "adapter_model.safetensors").exists()
    return done.stdout


@pytest.mark.slow
def test_two_processes_take_half_as_many_steps_of_twice_the_size(run_folder: Path) -> None:
    alone = trained(run_folder)
    assert re.search(r"out: 6 steps, last loss \d", alone)
    # On a CPU accelerate's launcher would start one process, whatever number it is given.
    together = trained(run_folder, "-m", "torch.distributed.run", "--nproc-per-node=2",
                       "--standalone")  # fmt: skip
    assert re.search(r"out: 4 steps, last loss \d", together)
    assert together.count("steps") == 1  # the first process speaks
