"""Recipes: one YAML file says everything a run does; `key=value` on the command line overrides it.

Owns the shape of a recipe and finding what is wrong with one. The blocks belong to the stages.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from charter import tasks, yaml_tree
from charter.critique import CritiqueConfig
from charter.engine.config import EngineConfig
from charter.errors import InputError, RecipeError
from charter.evaluate.stage import EvaluateConfig
from charter.evaluate.twin import TwinConfig
from charter.feedback import FeedbackConfig
from charter.judging.acceptance_config import AcceptanceConfig
from charter.judging.config import JudgeConfig, Problem, check_all, resolve, seated
from charter.models.embedded import NAME as EMBEDDED
from charter.models.endpoint import EndpointConfig, address, is_remote
from charter.models.library import CRITIC
from charter.models.vllm_config import in_process
from charter.plan import PlanConfig
from charter.preference import PreferenceConfig
from charter.prompts.sets import guess_kind
from charter.records import Record
from charter.rl import PREFERENCE, RlConfig
from charter.sft import SftConfig
from charter.storage.index import StorageConfig
from charter.yaml_tree import line_of

FORMAT = "charter/recipe/1"


class PromptsConfig(Record, frozen=True):
    """The `prompts:` block. A source is `library`, a file, or `hf:NAME[:SPLIT]`.

    `prompts=FILE[,FILE]` on the command line replaces the sources of the kinds the files hold.
    """

    redteam: str = "library"
    benign: str = "library"
    borderline: str = "library"
    max_chars: int = 2000
    """Prompts with more characters than this are left out, and counted."""
    critique_redteam: int = 168
    """Red-team prompts that get critique-revision chains."""
    sft_benign: int = 168
    """Harmless prompts (benign, then borderline) answered by the start model for the mixture."""
    sft_borderline: int = 72
    pairs_redteam: int = 168
    """Red-team prompts for comparisons."""
    pairs_benign: int = 168
    """Benign prompts for comparisons."""
    eval_redteam: int = 84
    eval_benign: int = 84
    eval_borderline: int = 48


class Recipe(Record, frozen=True):
    """A whole run. Counts are upper bounds: a smaller file gives what it has."""

    format: str
    name: str
    run: str = "runs/run"
    """Folder of the run."""
    seed: int = 0
    model: str = "embedded"
    """The model to align: `embedded`, a hub name, or a folder."""
    constitution: str = "default"
    """A constitution file, or the name of one that ships with the package."""
    prompts: PromptsConfig = PromptsConfig()
    critique: CritiqueConfig = CritiqueConfig()
    sft: SftConfig = SftConfig()
    judges: dict[str, JudgeConfig] = {}
    """Judges by name, for `feedback.judge`, for panels, and for `charter judge test`."""
    feedback: FeedbackConfig = FeedbackConfig()
    preference: PreferenceConfig = PreferenceConfig()
    rl: RlConfig = RlConfig()
    twin: TwinConfig = TwinConfig()
    """A second arm from the same SFT model and the same pairs, with other labels (RLHF)."""
    evaluate: EvaluateConfig = EvaluateConfig()
    acceptance: AcceptanceConfig = AcceptanceConfig()
    endpoint: EndpointConfig = EndpointConfig()
    """How remote models (`openai:NAME`, `anthropic:NAME`) are called, and what they may cost."""
    plan: PlanConfig = PlanConfig()
    """What a dry run may take for granted; it changes nothing of the run."""
    task: str = ""
    """The entry of `tasks` whose blocks are in force."""
    tasks: dict[str, dict[str, Any]] = {}
    """Blocks by the name of a task, laid over those above; `task=NAME` picks one."""

    engine: EngineConfig = EngineConfig()
    """Where the data stages run: `local`, or `ray` with settings; `engine: ray` is short for its
    defaults. No record depends on it."""
    storage: StorageConfig = StorageConfig()
    """Where records go that are too many for one file."""

    def all_judges(self) -> dict[str, JudgeConfig]:
        """The judges that a block may name: those under `judges:`, and `human`."""
        return self.feedback.with_people(self.judges)


def load(source: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply `key=value` overrides (dotted keys, YAML values).

    Args:
        source: a YAML file, or the name of a recipe that ships with the package.
        overrides: such as `run=DIR`, `critique.rounds=4`, `prompts=FILE`.

    Raises:
        RecipeError: names file, line, field, and the nearest known key.
    """
    path = _locate(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(shipped())
        raise RecipeError(
            "no such recipe", file=str(source), expected=f"a YAML file, or one of {known}"
        ) from error
    tree = yaml_tree.parse(text, file=path, kind=RecipeError)
    plain = tasks.lay_over(YAML(typ="safe").load(text), overrides, path)
    for override in overrides:
        _apply(plain, override)
    return _convert(plain, tree, path)


def shipped() -> list[str]:
    """Names of the recipes that ship with the package."""
    return sorted({p.stem for folder in _folders() for p in folder.glob("*.yaml")})


def _folders() -> list[Path]:
    """Where shipped recipes lie: inside an installed package, or beside the sources."""
    package = Path(str(resources.files("charter")))
    return [package / "recipes", package.parents[1] / "recipes"]


def _locate(source: str | Path) -> Path:
    path = Path(source)
    if path.exists():
        return path
    inside = [folder / f"{path.stem}.yaml" for folder in _folders()]
    shipped_name = path.parent in (Path(), Path("recipes")) and path.suffix in ("", ".yaml")
    return next((file for file in inside if shipped_name and file.exists()), path)


def _apply(plain: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_][\w.]*", key):
        raise RecipeError(f"cannot read override {override!r}", expected="key=value")
    try:
        parsed = YAML(typ="safe").load(value) if value.strip() else ""
    except YAMLError:
        parsed = value
    if key == "prompts" and isinstance(parsed, str):
        _apply_prompt_files(plain, parsed)
        return
    *path, last = key.split(".")
    node = plain
    for step in path:
        child = node.setdefault(step, {})
        if not isinstance(child, dict):
            raise RecipeError("is not a block", field=key, expected=f"a block {step!r}")
        node = child
    node[last] = parsed


def _apply_prompt_files(plain: dict[str, Any], files: str) -> None:
    """`prompts=FILE[,FILE]`: each file replaces the source of the kind its name suggests."""
    block = plain.setdefault("prompts", {})
    for file in filter(None, (part.strip() for part in files.split(","))):
        block[guess_kind(file)] = file


def _convert(plain: dict[str, Any], tree: Any, path: Path) -> Recipe:
    if isinstance(plain.get("engine"), str):
        plain = {**plain, "engine": {"kind": plain["engine"]}}
    try:
        recipe = msgspec.convert(plain, Recipe, strict=True)
    except msgspec.ValidationError as error:
        raise _located(error, tree, path) from error
    if recipe.format != FORMAT:
        raise RecipeError(
            f"unknown format {recipe.format!r}",
            file=path,
            line=line_of(tree, ["format"]),
            field="format",
            expected=repr(FORMAT),
        )
    _check(recipe, tree, path)
    return recipe


def _check(recipe: Recipe, tree: Any, path: Path) -> None:
    """Checks across blocks: what could only fail hours later is found before anything starts."""

    def fail(field: str, problem: str, expected: str) -> None:
        line = line_of(tree, field.split("."))
        raise RecipeError(problem, file=path, line=line, field=field, expected=expected)

    for field, problem, expected in _remote_problems(recipe):
        fail(field, problem, expected)
    critique = recipe.critique
    if critique.critic == CRITIC and recipe.model != EMBEDDED:
        problem = f"{CRITIC!r} fits the embedded model only, not {recipe.model!r}"
        fail("critique.critic", problem, "few-shot, or the name of a model")
    for field, problem, expected in _judge_problems(recipe):
        fail(field, problem, expected)
    if recipe.sft.arm not in critique.arms:
        problem = f"no chains are written for arm {recipe.sft.arm!r}"
        fail("sft.arm", problem, f"one of critique.arms: {', '.join(critique.arms)}")
    recipe.evaluate.check()
    recipe.acceptance.check()
    for field, problem, expected in recipe.engine.problems():
        fail(field, problem, expected)


def _judge_problems(recipe: Recipe) -> Iterator[Problem]:
    """What is wrong with the recipe's judges, and with the one that labels."""
    yield from check_all(recipe.judges)
    for field, name in _asked_judges(recipe):
        yield from _problems_of(recipe, field, name)


def _asked_judges(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """The judges that a run will ask, by the field that names them."""
    yield "feedback.judge", recipe.feedback.judge
    if recipe.twin.judge:
        yield "twin.judge", recipe.twin.judge
    if recipe.rl.on_policy and recipe.rl.reward != PREFERENCE:
        yield "rl.reward", recipe.rl.reward
    if recipe.rl.on_policy and recipe.rl.monitor.held_out:
        yield "rl.monitor.held_out", recipe.rl.monitor.held_out


def _problems_of(recipe: Recipe, field: str, name: str) -> Iterator[Problem]:
    """What is wrong with one judge that a field names."""
    judges, model = recipe.all_judges(), recipe.feedback.model or recipe.model
    try:
        resolve(name, judges)
    except InputError as error:
        yield field, error.problem, error.expected or ""
        return
    for used in [name, *sorted(seated(name, judges))]:
        config = resolve(used, judges)
        where = f"judges.{used}" if used in recipe.judges else field
        read = config.model or model
        if config.kind == "readout" and not config.path and read != EMBEDDED:
            problem = f"the readout judge reads the embedded model only, not {read!r}"
            yield where, problem, "multiple-choice, or feedback.model: embedded"
        for entry, file in config.files() if used in recipe.judges else ():
            if not Path(file).exists():
                yield f"{where}.{entry}", f"no such file: {file}", "a file or folder that exists"


def _remote_problems(recipe: Recipe) -> Iterator[Problem]:
    """What is wrong with the names of remote models, and with what their calls may cost."""
    if is_remote(recipe.model) or in_process(recipe.model):
        kind = "remote model" if is_remote(recipe.model) else "model run by vLLM"
        yield "model", f"a {kind} cannot be trained", "embedded, a hub name or a folder"
    used = {"critique.critic": recipe.critique.critic, "feedback.model": recipe.feedback.model}
    used |= {f"judges.{name}.model": config.model for name, config in recipe.judges.items()}
    for field, name in used.items():
        if is_remote(name):
            try:
                recipe.endpoint.admit(address(name).model)
            except InputError as error:
                yield error.field or field, error.problem, error.expected or ""


def _located(error: msgspec.ValidationError, tree: Any, path: Path) -> RecipeError:
    problem, _, place = str(error).partition(" - at `$")
    keys = re.findall(r"[\w-]+", _with_names(place, tree))
    unknown = re.search(r"unknown field `(.*?)`", problem)
    expected = None
    if unknown:
        keys.append(unknown.group(1))
        expected = _nearest(unknown.group(1), keys[:-1])
        problem = "unknown key"
    return RecipeError(
        problem,
        file=path,
        line=line_of(tree, keys),
        field=".".join(keys) or None,
        expected=expected,
    )


def _with_names(place: str, tree: Any) -> str:
    """The place of an error with the name of the judge in question, which msgspec leaves out."""
    if not place.startswith(".judges[...]"):
        return place
    for name, block in tree["judges"].items():
        try:
            msgspec.convert(block, JudgeConfig)
        except msgspec.ValidationError:
            return place.replace("[...]", f".{name}", 1)
    return place


def _nearest(key: str, path: Sequence[str]) -> str:
    """The known keys of a block, nearest first."""
    block: Any = Recipe
    for step in path:
        if get_origin(block) is dict:
            block = get_args(block)[1]
            continue
        block = next((f.type for f in msgspec.structs.fields(block) if f.name == step), Recipe)
    names = [f.name for f in msgspec.structs.fields(block)]
    close = difflib.get_close_matches(key, names, n=1)
    return f"{close[0]!r}?" if close else "one of " + ", ".join(names)
