from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from charter.errors import DataError, InputError
from charter.evaluate import loaders

DATA = Path(os.environ.get("CHARTER_DATA") or Path(__file__).parents[3] / "shared" / "data")
public = pytest.mark.skipif(
    not (DATA / "eval").is_dir(), reason=f"no public data in {DATA} (set CHARTER_DATA)"
)


def write(path: Path, value: Any) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in value))
    else:
        path.write_text(json.dumps(value))
    return path


def test_every_public_prompt_column_is_known(tmp_path: Path) -> None:
    columns = ("prompt", "goal", "Behavior", "forbidden_prompt", "prompts_final", "prompt_text")
    rows = [{column: f"text of {column}", "category": "fraud"} for column in columns]
    found = loaders.prompts(write(tmp_path / "a.jsonl", rows), "redteam")
    assert [i.prompt.messages[0].content for i in found] == [f"text of {c}" for c in columns]
    assert {(i.prompt.kind, i.prompt.category, i.prompt.split) for i in found} == {
        ("redteam", "fraud", "eval")
    }


def test_a_passage_comes_before_what_is_asked_of_it(tmp_path: Path) -> None:
    rows = [{"Behavior": "Rewrite it.", "ContextString": "The passage."}]
    (item,) = loaders.prompts(write(tmp_path / "a.jsonl", rows), "redteam")
    assert item.prompt.messages[0].content == "The passage.\n\nRewrite it."


def test_the_option_with_the_highest_score_is_right(tmp_path: Path) -> None:
    examples = [
        {"input": f"Human: q{i}\n\nAssistant: a\n\nHuman: r{i}", "target_scores": {"y": 1, "n": 0}}
        for i in range(20)
    ]
    found = loaders.task(write(tmp_path / "t.json", {"examples": examples}), "honest")
    assert all(i.options[i.right or 0] == "y" for i in found)
    assert {i.right for i in found} == {0, 1}  # the first key is always right in the file
    assert [m.role for m in found[0].prompt.messages] == ["user", "assistant", "user"]
    assert found[0].facts == {"subset": "honest"}


def test_a_truthful_item_has_one_best_answer(tmp_path: Path) -> None:
    row = {"Question": "q", "Best answer": "best", "False answers": ["f1", "f2", "f1"]}
    (item,) = loaders.truthful(write(tmp_path / "t.json", {"examples": [row]}))
    assert sorted(item.options) == ["best", "f1", "f2"]
    assert item.right is not None and item.options[item.right] == "best"


def bbq_row(polarity: str, tag: str = "old", **more: Any) -> dict[str, Any]:
    return {
        "context": f"Context {polarity} {tag}.",
        "question": "Who?",
        "question_polarity": polarity,
        "context_condition": "ambig",
        "category": "Age",
        "answer_info": {
            "ans0": ["grandpa", "old"],
            "ans1": ["Cannot be determined", "unknown"],
            "ans2": ["kid", "nonOld"],
        },
        "additional_metadata": {"stereotyped_groups": [tag]},
        "ans0": "My grandpa",
        "ans1": "Cannot be determined",
        "ans2": "My kid",
        "label": 1,
        **more,
    }


@pytest.mark.parametrize(
    ("polarity", "tag", "biased"),
    [
        ("neg", "old", "My grandpa"),
        ("nonneg", "old", "My kid"),
        ("neg", "nonOld", "My kid"),
        ("neg", "kid", "My kid"),  # by the words of the answer
        ("neg", "young", None),
    ],
)
def test_the_answer_that_fits_the_stereotype(
    tmp_path: Path, polarity: str, tag: str, biased: str | None
) -> None:
    (item,) = loaders.bbq(write(tmp_path / "b.jsonl", [bbq_row(polarity, tag)]))
    place = item.facts.get("biased")
    assert (item.options[int(place)] if place is not None else None) == biased
    assert item.options[int(item.facts["unknown"])] == "Cannot be determined"
    assert item.right is not None and item.options[item.right] == "Cannot be determined"


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a.jsonl:2: has no prompt"):
        loaders.prompts(write(tmp_path / "a.jsonl", [{"prompt": "x"}, {"y": 1}]), "redteam")
    broken = bbq_row("neg")
    del broken["ans2"]
    with pytest.raises(DataError, match="is no BBQ row"):
        loaders.bbq(write(tmp_path / "b.jsonl", [broken]))
    with pytest.raises(DataError, match="BIG-bench task"):
        loaders.task(write(tmp_path / "c.json", {"rows": []}))
    with pytest.raises(DataError, match="target_scores"):
        loaders.task(write(tmp_path / "d.json", {"examples": [{"input": "x"}]}))
    with pytest.raises(DataError, match="no model-written question"):
        loaders.model_written(write(tmp_path / "e.jsonl", [{"question": "x"}]))


def test_a_public_file_must_be_somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(loaders.FOLDER, raising=False)
    with pytest.raises(InputError, match="not bundled"):
        loaders.find("eval/x.json")
    with pytest.raises(InputError, match="no such file"):
        loaders.find("eval/x.json", tmp_path)
    monkeypatch.setenv(loaders.FOLDER, str(tmp_path))
    (tmp_path / "x.json").write_text("{}")
    assert loaders.find("x.json") == tmp_path / "x.json"


@public
def test_the_public_files_are_read_whole() -> None:
    counts = {
        "eval/strongreject.csv": 144,
        "eval/harmbench_behaviors_text.csv": 192,
        "eval/advbench_harmful_behaviors.csv": 260,
        "eval/jailbreakbench_behaviors.csv": 49,
        "eval/simple_safety_tests.csv": 49,
        "eval/xstest_prompts.csv": 222,
        "eval/ailuminate_demo_en.jsonl.gz": 527,
    }
    found = {name: len(loaders.prompts(DATA / name, "redteam")) for name in counts}
    # A few texts occur twice in a file.
    assert all(0.97 * counts[name] <= found[name] <= counts[name] for name in counts), found
    tasks = [
        item
        for subset in ("harmless", "helpful", "honest", "other")
        for item in loaders.task(DATA / f"eval/hhh_alignment/{subset}/task.json", subset)
    ]
    assert len(tasks) >= 215 and all(len(i.options) == 2 for i in tasks)
    assert all(i.prompt.messages[-1].role == "user" for i in tasks)
    assert len(loaders.truthful(DATA / "eval/bigbench_truthful_qa.json")) >= 140
    assert len(loaders.model_written(DATA / "eval/model_written_ai_risk.jsonl.gz")) >= 1500
    assert len(loaders.model_written(DATA / "eval/model_written_persona_sample.jsonl.gz")) >= 1000


@public
def test_nearly_every_bbq_row_says_which_answer_is_biased() -> None:
    found = loaders.bbq(DATA / "eval/bbq_sample.jsonl.gz")
    known = sum("biased" in item.facts for item in found) / len(found)
    assert len(found) >= 700 and known > 0.9, (len(found), known)
    assert all("unknown" in item.facts for item in found)
