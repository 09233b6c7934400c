"""The recipes that ship: each loads, says what it costs without a network, and works when small."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import pytest
import torch
from click.testing import CliRunner
from ruamel.yaml import YAML

from charter import pipeline
from charter.cli.main import cli
from charter.constitution import document
from charter.constitution.lint import lint
from charter.errors import RecipeError
from charter.estimate import machine
from charter.models import hf
from charter.recipe import Recipe, load, shipped

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "recipes"
PIPELINE = runpy.run_path(str(Path(__file__).with_name("test_pipeline.py")))
NAMES = (
    "direct-rlaif", "embedded", "llama-8b", "paper-cai", "paper-rlaif", "smoke", "twin",
)  # fmt: skip
TASKS = ("summary", "helpful", "harmless")
CASES = [*((name,) for name in NAMES), *(("paper-rlaif", f"task={task}") for task in TASKS)]
CODE = re.compile(r"```(?:\w*)\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"^\s*charter (run|critique|sft|label|preference|rl) (.+)$", re.MULTILINE)
SMALL = "{max_tokens: 12, temperature: 0.7}"


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("a dry run went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def tiny_embedded(monkeypatch: pytest.MonkeyPatch, tiny_model_folder: Path) -> None:
    """The tiny model in the place of the embedded one, whose rates a dry run would measure."""
    tiny = hf.load(str(tiny_model_folder))

    def loaded(name: str, **_: Any) -> hf.HFModel:
        assert name == "embedded", f"a dry run loaded {name}"
        return tiny

    monkeypatch.setattr(machine.hf, "load", loaded)


def test_these_are_the_recipes_that_ship() -> None:
    assert tuple(shipped()) == NAMES


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_a_recipe_loads_with_a_constitution_that_has_no_errors(case: tuple[str, ...]) -> None:
    found = load(case[0], case[1:])
    assert found.name == case[0]
    assert len(document.load(found.constitution).principles) >= 6
    path = document.locate(found.constitution)
    assert not [finding for finding in lint(path) if finding.severity == "error"]


def test_each_task_of_lee_has_a_constitution_and_a_folder_of_its_own() -> None:
    found = [load("paper-rlaif", [f"task={task}"]) for task in TASKS]
    assert len({r.constitution for r in found}) == len({r.run for r in found}) == len(TASKS)
    assert all((r.rl.method, r.rl.ppo.beta, r.rl.ppo.temperature) == ("reinforce", 0.05, 0.9)
               for r in found)  # fmt: skip
    assert load("paper-rlaif").task == "harmless"


def test_the_settings_that_the_paper_names_are_those_of_the_recipe() -> None:
    found = load("paper-cai")
    judging = {"harm", "manner"}
    pool = [p for p in document.load(found.constitution).principles if judging & set(p.tags)]
    assert len(pool) == len(document.load(found.constitution).principles) == 16
    assert (found.critique.rounds, found.rl.method, found.rl.ppo.beta) == (4, "ppo", 0.001)
    assert found.sft.train.batch_size * found.sft.train.accumulation == 1024
    assert (found.feedback.judge, found.feedback.principles) == ("multiple-choice", "one")


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_key_is_refused_wherever_it_stands(name: str, tmp_path: Path) -> None:
    tree = YAML(typ="safe").load((RECIPES / f"{name}.yaml").read_text())
    for block in ("prompts", "sft", "rl"):
        wrong = {**tree, block: {**tree[block], "zzz": 1}}
        file = tmp_path / f"{block}.yaml"
        file.write_text(json.dumps(wrong))
        with pytest.raises(RecipeError) as caught:
            load(file)
        assert caught.value.field == f"{block}.zzz"


@pytest.mark.usefixtures("no_network", "tiny_embedded")
@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_a_dry_run_prints_tokens_memory_and_time_of_every_stage(case: tuple[str, ...]) -> None:
    stages = pipeline.stages_of(load(case[0], case[1:]))
    done = CliRunner().invoke(cli, ["run", *case, "--dry-run", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [s["stage"] for s in found["stages"]] == [s for s in stages if s != "twin"]
    for stage in found["stages"]:
        assert {"calls", "generated", "read", "trained", "remote", "seconds"} <= stage.keys()
        assert set(stage["memory"]) == {"weights", "optimizer", "activations", "cache"}
        assert stage["memory_gb"] == pytest.approx(sum(stage["memory"].values()), abs=0.01)
    assert found["tokens"] > 0 and found["seconds"] > 0
    assert found["memory_gb"] == max(s["memory_gb"] for s in found["stages"])
    if "assumed" in found["rates_from"]:
        # Recipes that name a machine fit into it.
        assert 0 < found["memory_gb"] <= found["machine"]["memory_gb"]


@pytest.mark.usefixtures("no_network", "tiny_embedded")
def test_the_table_fits_a_terminal_and_says_what_was_assumed() -> None:
    done = CliRunner().invoke(cli, ["run", "llama-8b", "--dry-run"])
    assert done.exit_code == 0, done.output
    head, *_ = (line for line in done.output.splitlines() if "stage" in line and "calls" in line)
    assert {"stage", "calls", "generated", "read", "trained", "remote", "memory", "time"} == set(
        head.split()
    )
    table = done.output.partition("tokens,")[0].splitlines()[:-1]
    assert max(map(len, table)) <= 80
    assert "assumed for H100 80 GB" in done.output and "as plan.shape states" in done.output


@pytest.mark.usefixtures("no_network", "tiny_embedded")
def test_what_does_not_fit_is_said() -> None:
    done = CliRunner().invoke(
        cli, ["run", "llama-8b", "sft.train.lora_rank=0", "--dry-run", "--json"]
    )
    notes = json.loads(done.stdout)["notes"]
    assert "more memory than the 80 GB of H100 80 GB: sft" in notes


@pytest.mark.usefixtures("no_network", "tiny_embedded")
def test_a_model_that_tells_nothing_of_its_size_is_asked_about() -> None:
    words = ("run", "direct-rlaif", "model=some/model", "plan.shape=null", "--dry-run")
    done = CliRunner().invoke(cli, words)
    assert isinstance(done.exception, RecipeError)
    assert (done.exception.exit_code, done.exception.field) == (2, "plan.shape")


def small(name: str, model: Path, run: Path, *more: str) -> Recipe:
    """A shipped recipe cut down to a tiny model: its own methods and judges, short answers."""
    trained = "{batch_size: 4, lora_rank: 2, learning_rate: 1.0e-3}"
    counts = ("critique_redteam=3", "sft_benign=3", "sft_borderline=2", "pairs_redteam=6",
              "pairs_benign=2", "eval_redteam=3", "eval_benign=3", "eval_borderline=2")  # fmt: skip
    samplings = ("critique.draft", "critique.critique", "critique.revision", "sft.helpful",
                 "feedback.answer", "evaluate.answers")  # fmt: skip
    words = [
        f"run={run}",
        f"model={model}",
        "critique.critic=few-shot",
        "critique.shots=1",
        *(f"prompts.{count}" for count in counts),
        *(f"{sampling}={SMALL}" for sampling in samplings),
        *(f"{stage}.train={trained}" for stage in ("sft", "preference", "rl")),
        "evaluate.bootstrap_draws=20",
        *more,
    ]
    return load(name, words)


@pytest.fixture
def stood_in(monkeypatch: pytest.MonkeyPatch) -> None:
    PIPELINE["stand_ins"](monkeypatch.setattr)


@pytest.mark.usefixtures("stood_in")
def test_direct_rlaif_runs_from_end_to_end(tiny_model_folder: Path, tmp_path: Path) -> None:
    recipe = small(
        "direct-rlaif",
        tiny_model_folder,
        tmp_path / "run",
        # A random network hardly ever says what it is asked for.
        "judges.rater.min_mass=0",
        "judges.watcher.min_mass=0",
        "judges.lenient={kind: multiple-choice, min_mass: 0}",
        "feedback.judge=lenient",
        "rl.ppo.steps=2",
        "rl.ppo.prompts_per_step=4",
        "rl.ppo.minibatch=4",
        "rl.ppo.max_new_tokens=8",
        "rl.ppo.lora_rank=2",
        "rl.ppo.overlap=2",
        "rl.monitor.every=1",
    )
    summary = pipeline.run(recipe)
    assert set(summary.seconds) == set(pipeline.STAGES)
    notes = json.loads((tmp_path / "run" / "rl" / "manifest.json").read_text())["notes"]
    assert notes["method"] == "ppo" and "rating" in notes["reward"]
    rows = (tmp_path / "run" / "rl" / "monitor.jsonl").read_text().splitlines()
    assert len(rows) == 2


@pytest.mark.usefixtures("stood_in")
def test_the_twin_runs_from_end_to_end(tiny_model_folder: Path, tmp_path: Path) -> None:
    rows = [
        {"prompt": f"question {i}", "a": f"better {i}", "b": f"worse {i}", "label": "a"}
        for i in range(8)
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = small(
        "twin",
        tiny_model_folder,
        tmp_path / "run",
        f"feedback.pairs={file}",
        "judges.lenient={kind: multiple-choice, min_mass: 0}",
        "feedback.judge=lenient",
    )
    summary = pipeline.run(recipe)
    assert set(summary.seconds) == set(pipeline.stages_of(recipe))
    twin = json.loads((tmp_path / "run" / "twin" / "manifest.json").read_text())["notes"]
    for kind in ("harmless", "helpful"):
        raw = twin[kind]["raw"]
        assert raw["low"] <= raw["value"] <= raw["high"] and raw["n"] > 0


@pytest.mark.usefixtures("stood_in")
def test_a_task_without_red_team_prompts_runs_from_end_to_end(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    recipe = small(
        "paper-rlaif",
        tiny_model_folder,
        tmp_path / "run",
        "task=summary",
        "prompts.benign=library",
        *(f"prompts.{kind}=0" for kind in ("critique_redteam", "pairs_redteam", "eval_redteam")),
        "prompts.sft_borderline=0",
        "prompts.eval_borderline=0",
        "prompts.pairs_benign=6",
        "judges.labeler.min_mass=0",
        f"judges.labeler.sampling={SMALL}",
        "rl.ppo.steps=1",
        "rl.ppo.prompts_per_step=4",
        "rl.ppo.max_new_tokens=8",
        "rl.ppo.lora_rank=2",
    )
    summary = pipeline.run(recipe)
    assert {m.metric for m in summary.measurements} >= {"helpful_win_rate", "over_refusal"}
    assert msgspec.json.decode((tmp_path / "run" / "recipe.json").read_bytes())["task"] == "summary"


def commands() -> list[tuple[str, str]]:
    pages = [*RECIPES.glob("*.md"), *(ROOT / "docs").glob("training*.md")]
    blocks = [(page.name, block) for page in pages for block in CODE.findall(page.read_text())]
    return [(page, match[2]) for page, block in blocks for match in COMMAND.finditer(block)]


def test_every_recipe_has_a_page_with_what_it_needs_and_what_to_expect() -> None:
    index = (RECIPES / "README.md").read_text()
    for name in NAMES:
        page = (RECIPES / f"{name}.md").read_text()
        assert f"]({name}.md)" in index
        for heading in ("## Commands", "## Needs", "## Numbers to expect"):
            assert heading in page, (name, heading)


@pytest.mark.parametrize(("page", "words"), commands())
def test_every_command_on_a_page_has_keys_that_exist(page: str, words: str) -> None:
    given = [w for w in shlex.split(words, comments=True) if not w.startswith("--")]
    name, overrides = given[0], given[1:]
    load(name.removeprefix("recipes/"), [word for word in overrides if "=" in word])
