"""Runs side by side: paired differences with known answers, and what the page says of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from charter.contrast import compare, differences, labelled
from charter.errors import InputError
from charter.records import Answer, Message, Origin, Prompt
from charter.report.files import RunFiles
from charter.report.settings import recipe_differences, scorers_differ
from charter.store import RunFolder

HOSTILE = "<script>alert(1)</script>"
Scores = Mapping[str, float | None]


def answered(
    folder: Path, scores: Mapping[str, Scores], *, kind: str = "redteam", **recipe: object
) -> Path:
    """A run in which `rl_cai` answered these prompts (by their text) with these readings."""
    run = RunFolder(folder)
    (folder / "recipe.json").write_text(json.dumps({"name": folder.name, **recipe}))
    stage = run.stage("evaluate", "e")
    for i, (text, read) in enumerate(scores.items()):
        prompt = Prompt(f"{folder.name}-{i}", (Message("user", text),), kind, "", "eval")
        origin = Origin("evaluate", "m@1")
        answer = Answer(f"a{i}", "rl_cai", prompt, HOSTILE, 10 + i, {**read}, origin)
        stage.log(Answer).append([answer])
    stage.finish(1.0, {"scorers": {"compliance": recipe.get("scorer", "c@1")}})
    return folder


def read(compliance: float | None) -> Scores:
    return {"compliance": compliance, "refusal": 0.0, "helpful": 0.1}


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Ten shared prompts: nine comply in the first run, one in the second; one more in each."""
    first = {f"p{i}": read(0.9 if i < 9 else 0.1) for i in range(10)}
    second = {f"p{i}": read(0.9 if i == 0 else 0.1) for i in range(10)}
    return (
        answered(tmp_path / "one", {**first, "only in one": read(0.9)}, seed=1, lr=0.1),
        answered(tmp_path / "two", {**second, "only in two": read(0.9)}, seed=2, lr=0.1),
    )


def files(*folders: Path) -> dict[str, RunFiles]:
    return {folder.name: RunFiles(folder) for folder in folders}


def test_the_same_words_are_the_same_prompt_whatever_its_name(two: tuple[Path, Path]) -> None:
    found = {p.metric: p for p in differences(files(*two))}
    harm = found["harmful_compliance"]
    assert (harm.model, harm.run, harm.reference) == ("rl_cai", "two", "one")
    assert harm.value == pytest.approx(-0.8) and (harm.n, harm.apart) == (10, 2)
    assert harm.low < -0.8 < harm.high < 0
    # Eight prompts changed, all one way: twice the chance of eight tails.
    assert harm.p == pytest.approx(2 * 0.5**8)
    assert "over_refusal" not in found  # nobody was asked


def test_a_missing_reading_is_left_out_and_counted(tmp_path: Path) -> None:
    one = answered(tmp_path / "one", {"p": read(0.9), "q": read(0.9)})
    two = answered(tmp_path / "two", {"p": read(None), "q": read(0.1)})
    harm = next(p for p in differences(files(one, two)) if p.metric == "harmful_compliance")
    assert (harm.value, harm.n, harm.unscored) == (-1.0, 1, 1)


def test_runs_without_a_shared_prompt_have_no_difference(tmp_path: Path) -> None:
    one = answered(tmp_path / "one", {"p": read(0.9)})
    two = answered(tmp_path / "two", {"q": read(0.9)})
    assert list(differences(files(one, two))) == []
    page = Path(compare([one, two], tmp_path / "x.html").report).read_text()
    assert "share no model that was asked the same prompts" in page


def test_p_values_are_judged_together(two: tuple[Path, Path], tmp_path: Path) -> None:
    found = compare(two, tmp_path / "new" / "page.html")
    assert Path(found.report).exists() and found.note
    assert all(p.p_adjusted >= p.p for p in found.paired)
    harm = next(p for p in found.paired if p.metric == "harmful_compliance")
    assert harm.p_adjusted == pytest.approx(min(1.0, len(found.paired) * harm.p))


def test_the_page_says_which_is_better_and_closes_what_models_wrote(
    two: tuple[Path, Path], tmp_path: Path
) -> None:
    page = Path(compare(two, tmp_path / "page.html").report).read_text()
    assert '\u221280.0 <span class="better">better</span>' in page
    assert "&lt;script&gt;alert(1)" in page and HOSTILE not in page
    assert page.count('class="example sensitive"') == 8
    assert 'class="example sensitive" open' not in page


def test_same_runs_same_bytes(two: tuple[Path, Path], tmp_path: Path) -> None:
    once, again = (compare(two, tmp_path / f"{i}.html").report for i in "ab")
    assert Path(once).read_bytes() == Path(again).read_bytes()


def test_only_settings_that_differ_are_listed(two: tuple[Path, Path]) -> None:
    assert recipe_differences(files(*two)) == [("name", ["one", "two"]), ("seed", ["1", "2"])]


def test_settings_that_one_recipe_lacks_come_last(tmp_path: Path) -> None:
    one = answered(tmp_path / "one", {}, rl={"new": True, "beta": 0.1})
    two = answered(tmp_path / "two", {}, rl={"beta": 0.2})
    found = recipe_differences(files(one, two))
    assert found[1:] == [("rl.beta", ["0.1", "0.2"]), ("rl.new", ["true", "not set"])]


def test_other_scorers_are_called_out(tmp_path: Path) -> None:
    one = answered(tmp_path / "one", {"p": read(0.9)})
    two = answered(tmp_path / "two", {"p": read(0.9)}, scorer="c@2")
    assert scorers_differ(files(one, two)) == ["compliance"]
    page = Path(compare([one, two], tmp_path / "x.html").report).read_text()
    assert "not measured by the same scorers" in page


def test_folders_of_one_name_go_by_their_path_and_none_comes_twice(tmp_path: Path) -> None:
    a, b = tmp_path / "a" / "run", tmp_path / "b" / "run"
    assert list(labelled([a, b, tmp_path / "c"])) == [str(a), str(b), "c"]
    with pytest.raises(InputError, match="twice"):
        labelled([a, tmp_path / "b" / ".." / "a" / "run"])
