"""Settings of judges: what is refused, and by which name a judge is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from charter import recipe as recipes
from charter.errors import InputError, RecipeError
from charter.judging.config import BUILT_IN, JudgeConfig, check_all, resolve
from charter.recipe import Recipe

HEAD = "format: charter/recipe/1\nname: mine\nmodel: some/model\ncritique: {critic: few-shot}\n"


@pytest.mark.parametrize("kind", BUILT_IN)
def test_a_kind_that_needs_no_settings_is_found_by_its_name(kind: Any) -> None:
    assert resolve(kind, {}) == JudgeConfig(kind)
    assert list(JudgeConfig(kind).problems()) == []


def test_a_name_of_the_recipe_is_found() -> None:
    mine = JudgeConfig("votes", samples=9)
    assert resolve("mine", {"mine": mine}) is mine


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(InputError, match=r"no judge 'nobody'.*mine, readout"):
        resolve("nobody", {"mine": JudgeConfig("votes")})
    with pytest.raises(InputError, match="'panel' needs settings"):
        resolve("panel", {})


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (JudgeConfig("multiple-choice", shots=99), "shots"),
        (JudgeConfig("multiple-choice", shots=-1), "shots"),
        (JudgeConfig("multiple-choice", temperature=0.0), "temperature"),
        (JudgeConfig("multiple-choice", min_mass=1.0), "min_mass"),
        (JudgeConfig("multiple-choice", samples=3), "samples"),
        (JudgeConfig("chain-of-thought", clamp=(0.6, 0.4)), "clamp"),
        (JudgeConfig("chain-of-thought", clamp=(0.5, 1.5)), "clamp"),
        (JudgeConfig("votes", samples=0), "samples"),
        (JudgeConfig("votes", clamp=None), "clamp"),
        (JudgeConfig("panel"), "members"),
        (JudgeConfig("panel", members={"votes": 0.0}), "members.votes"),
        (JudgeConfig("panel", members={"votes": 1.0}, quorum=2), "quorum"),
        (JudgeConfig("human"), "file"),
    ],
)
def test_what_makes_no_sense_is_named(config: JudgeConfig, field: str) -> None:
    assert [name for name, _, _ in config.problems()] == [field]
    with pytest.raises(InputError) as caught:
        config.check()
    assert caught.value.field == field and caught.value.expected


def fields(**judges: JudgeConfig) -> list[str]:
    return [field for field, _, _ in check_all(judges)]


def test_panels_need_members_that_exist_and_are_not_themselves() -> None:
    assert fields(p=JudgeConfig("panel", members={"votes": 1.0})) == []
    assert fields(p=JudgeConfig("panel", members={"x": 1.0})) == ["judges.p.members.x"]
    assert fields(
        p=JudgeConfig("panel", members={"q": 1.0}), q=JudgeConfig("panel", members={"p": 1.0})
    ) == ["judges.p.members", "judges.q.members"]
    assert fields(votes=JudgeConfig("votes")) == ["judges.votes"]


def load(tmp_path: Path, body: str, *overrides: str) -> Recipe:
    path = tmp_path / "mine.yaml"
    path.write_text(HEAD + body)
    return recipes.load(path, overrides)


def refused(tmp_path: Path, body: str, *overrides: str) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, body, *overrides)
    return caught.value


def test_a_recipe_names_its_judges(tmp_path: Path) -> None:
    body = """\
judges:
  careful: {kind: chain-of-thought, clamp: null, sampling: {max_tokens: 64, temperature: 0}}
  both: {kind: panel, members: {careful: 2, multiple-choice: 1}}
feedback: {judge: both}
"""
    found = load(tmp_path, body)
    assert found.judges["careful"].clamp is None
    assert found.judges["both"].members == {"careful": 2.0, "multiple-choice": 1.0}
    overridden = load(tmp_path, body, "judges.careful.shots=2", "feedback.judge=careful")
    assert overridden.judges["careful"].shots == 2


@pytest.mark.parametrize(
    ("body", "line", "field"),
    [
        ("feedback:\n  judge: nobody\n", 6, "feedback.judge"),
        ("judges:\n  mine:\n    kind: votes\n    samples: 0\n", 8, "judges.mine.samples"),
        ("judges:\n  mine:\n    kind: voting\n", 7, "judges.mine.kind"),
        ("judges:\n  ok: {kind: votes}\n  mine:\n    kind: votes\n    sample: 3\n", 9,
         "judges.mine.sample"),
        ("judges:\n  mine:\n    kind: human\n    file: nowhere.jsonl\nfeedback: {judge: mine}\n", 8,
         "judges.mine.file"),
        ("judges:\n  p:\n    kind: panel\n    members:\n      readout: 1\nfeedback: {judge: p}\n",
         10, "feedback.judge"),
    ],
)  # fmt: skip
def test_a_mistake_is_pointed_at(tmp_path: Path, body: str, line: int, field: str) -> None:
    error = refused(tmp_path, body)
    assert (error.field, error.line) == (field, line)


def test_an_unknown_setting_of_a_judge_has_a_nearest_one(tmp_path: Path) -> None:
    error = refused(tmp_path, "judges:\n  mine: {kind: votes, sample: 3}\n")
    assert error.expected == "'samples'?"
