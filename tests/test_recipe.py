"""Recipes: what loads, what an override changes, and how a mistake is pointed at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from charter import recipe as recipes
from charter.errors import InputError, RecipeError
from charter.recipe import Recipe, load

ROOT = Path(__file__).parents[1]
HEAD = "format: charter/recipe/1\nname: mine\n"
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def file(body: str = "", head: str = HEAD) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(head + body, encoding="utf-8")
        return path

    return file


def refused(source: str | Path, *overrides: str) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        load(source, overrides)
    assert isinstance(caught.value, InputError) and caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("file", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_recipe_loads_by_path_and_by_name(file: Path) -> None:
    found = load(file)
    assert found.name == file.stem
    assert load(file.stem) == found
    assert file.stem in recipes.shipped()


def test_a_recipe_needs_no_more_than_a_format_and_a_name(write: Write) -> None:
    assert load(write("")) == Recipe("charter/recipe/1", "mine")


def test_an_unknown_key_names_file_line_field_and_the_nearest_key(write: Write) -> None:
    path = write("critique:\n  shots: 2\n  roundz: 3\n")
    error = refused(path)
    assert (error.file, error.line, error.field) == (path, 5, "critique.roundz")
    assert error.problem == "unknown key"
    assert error.expected == "'rounds'?"
    assert str(error).startswith(f"{path}:5: ")


def test_an_unknown_key_at_the_top_and_deep_down(write: Write) -> None:
    top = refused(write("sead: 3\n"))
    assert (top.line, top.field, top.expected) == (3, "sead", "'seed'?")
    deep = refused(write("sft:\n  train:\n    epoks: 3\n"))
    assert (deep.line, deep.field, deep.expected) == (5, "sft.train.epoks", "'epochs'?")


def test_a_key_near_to_nothing_lists_what_there_is(write: Write) -> None:
    error = refused(write("preference:\n  zzz: 1\n"))
    keys = "held_out, centring, labels, human, human_limit, weights, principles, train"
    assert error.expected == f"one of {keys}"


@pytest.mark.parametrize(
    ("body", "line", "field"),
    [
        ("seed: abc\n", 3, "seed"),
        ("seed: true\n", 3, "seed"),
        ("critique:\n  draft:\n    max_tokens: many\n", 5, "critique.draft.max_tokens"),
        ("sft:\n  train: {batch_size: 0}\n", 4, "sft.train.batch_size"),
        ("critique:\n  draw: always\n", 4, "critique.draw"),
        ("sft:\n  rounds: every\n", 4, "sft.rounds"),
        ("rl:\n  method: sarsa\n", 4, "rl.method"),
        ("prompts: library\n", 3, "prompts"),
    ],
)
def test_a_wrong_value_names_its_line_and_field(
    write: Write, body: str, line: int, field: str
) -> None:
    path = write(body)
    error = refused(path)
    assert (error.file, error.line, error.field) == (path, line, field)


def test_overrides_reach_nested_keys_and_keep_their_types(write: Write) -> None:
    found = load(
        write("critique:\n  rounds: 1\n  shots: 3\n"),
        [
            "run=some/where",
            "seed=7",
            "critique.rounds=4",
            "critique.arms=[critique, direct]",
            "sft.train.learning_rate=1e-3",
            "sft.train.epochs=2",
            "sft.helpful.temperature=0",
            "rl.dpo.reference_free=true",
            "rl.method=ipo",
        ],
    )
    assert (found.run, found.seed) == ("some/where", 7)
    assert (found.critique.rounds, found.critique.shots) == (4, 3)
    assert found.critique.arms == ("critique", "direct")
    assert found.sft.train.learning_rate == 0.001
    assert found.sft.train.epochs == 2.0 and isinstance(found.sft.train.epochs, float)
    assert found.sft.helpful.temperature == 0.0
    assert found.rl.dpo.reference_free is True
    assert found.rl.method == "ipo"


def test_of_two_overrides_the_last_one_holds(write: Write) -> None:
    assert load(write(""), ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize(
    ("override", "field", "expected"),
    [
        ("sead=1", "sead", "'seed'?"),
        ("critique.roundz=1", "critique.roundz", "'rounds'?"),
        ("seed=abc", "seed", None),
        ("critique=4", "critique", None),
        ("critique.rounds.many=1", "critique.rounds.many", None),
        ("noequals", None, "key=value"),
        ("=3", None, "key=value"),
    ],
)
def test_a_wrong_override_is_refused(
    write: Write, override: str, field: str | None, expected: str | None
) -> None:
    error = refused(write("critique:\n  rounds: 1\n"), override)
    assert error.field == field
    assert expected is None or error.expected == expected


def test_prompt_files_replace_the_sources_that_their_names_suggest(write: Write) -> None:
    found = load(write("prompts: {eval_benign: 5}\n"), ["prompts=my/attacks.jsonl"]).prompts
    assert (found.redteam, found.benign, found.borderline) == (
        "my/attacks.jsonl",
        "library",
        "library",
    )
    assert found.eval_benign == 5
    both = load(write(""), ["prompts=harmful.csv, xstest.csv,helpful.jsonl"]).prompts
    assert (both.redteam, both.borderline, both.benign) == (
        "harmful.csv",
        "xstest.csv",
        "helpful.jsonl",
    )


def test_a_format_that_is_not_known(write: Write) -> None:
    error = refused(write("", head="name: x\nformat: charter/recipe/9\n"))
    assert (error.line, error.field, error.expected) == (2, "format", "'charter/recipe/1'")
    assert "format" in refused(write("", head="name: x\n")).problem


def test_a_file_that_is_not_there_names_those_that_ship(tmp_path: Path) -> None:
    error = refused(tmp_path / "none.yaml")
    assert error.file == str(tmp_path / "none.yaml")
    assert error.expected is not None
    assert all(name in error.expected for name in ("embedded", "smoke", "paper"))
    assert refused(tmp_path).problem == "no such recipe"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name: [1, 2\n", 2),
        ("name: x\nname: y\n", 2),
        ("- a\n- b\n", 1),
        ("", 1),
        ("just words\n", 1),
        ("name: a\x07b\n", 1),
    ],
    ids=["open", "double", "list", "empty", "scalar", "control-character"],
)
def test_a_file_that_is_not_a_yaml_mapping(write: Write, text: str, line: int | None) -> None:
    path = write(text, head="")
    error = refused(path)
    assert (error.file, error.line) == (path, line)


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01")
    refused(path)


@pytest.mark.parametrize(
    ("overrides", "field"),
    [
        (["model=some/other"], "critique.critic"),
        (["model=some/other", "critique.critic=few-shot"], "feedback.judge"),
        (["sft.arm=direct"], "sft.arm"),
        (["evaluate.compliance_threshold=2"], "evaluate.compliance_threshold"),
    ],
)
def test_blocks_that_do_not_fit_together_are_found_at_once(
    overrides: list[str], field: str
) -> None:
    assert refused("embedded", *overrides).field == field


def test_another_model_is_fine_with_a_critic_and_a_judge_that_it_can_serve() -> None:
    words = ["model=some/other", "critique.critic=few-shot", "feedback.judge=multiple-choice"]
    assert load("embedded", words).model == "some/other"
    assert load("embedded", [*words[:2], "feedback.model=embedded"]).feedback.judge == "readout"


@pytest.mark.parametrize(
    ("body", "line", "field", "problem"),
    [
        ("model: openai:gpt-x\n", 3, "model", "a remote model cannot be trained"),
        ("model: vllm:org/model\n", 3, "model", "a model run by vLLM cannot be trained"),
        (
            "endpoint:\n  vllm: {gpu_memory_utilization: 2.0}\n",
            4,
            "endpoint.vllm.gpu_memory_utilization",
            "<= 1",
        ),
        ("feedback:\n  model: openai:m@http://\n", 4, "feedback.model", "cannot read"),
        ("critique:\n  critic: openai:m@http://h?key=x\n", 4, "critique.critic", "query"),
        ("endpoint:\n  concurrency: 0\n", 4, "endpoint.concurrency", ">= 1"),
        ("endpoint:\n  max_mony: 1\n", 4, "endpoint.max_mony", "unknown key"),
        (
            "endpoint: {max_money: 1.0}\nfeedback: {judge: multiple-choice, model: openai:m}\n",
            3,
            "endpoint.prices",
            "price of 'm'",
        ),
    ],
)
def test_remote_models_are_checked_before_anything_is_paid_for(
    write: Write, body: str, line: int, field: str, problem: str
) -> None:
    error = refused(write(body))
    assert error.field == field and problem in error.problem
    assert error.line == line


def test_an_endpoint_block_with_prices(write: Write) -> None:
    found = load(
        write(
            "feedback: {judge: votes, model: anthropic:c}\n"
            "endpoint:\n  max_money: 5.0\n  prices:\n    c: {input: 3.0, output: 15.0}\n"
        )
    )
    assert found.endpoint.prices["c"].output == 15.0
    assert load(write(""), ["endpoint.max_tokens_spent=1000"]).endpoint.max_tokens_spent == 1000


@pytest.mark.parametrize(
    ("override", "field"),
    [
        ("twin.judge=nobody", "twin.judge"),
        ("twin.judge=human", "twin.judge"),
        ("rl.reward=nobody", "rl.reward"),
        ("rl.monitor.held_out=nobody", "rl.monitor.held_out"),
    ],
)
def test_every_judge_that_a_run_asks_is_looked_up_first(override: str, field: str) -> None:
    assert refused("embedded", "rl.method=ppo", override).field == field
    if field.startswith("rl."):
        # Learning from pairs asks neither a reward nor a watcher.
        assert load("embedded", [override]).rl.method == "dpo"


def test_people_are_a_judge_where_the_pairs_have_labels() -> None:
    found = load("embedded", ["feedback.pairs=pairs.jsonl", "twin.judge=human"])
    assert found.all_judges()["human"].file == "pairs.jsonl"
