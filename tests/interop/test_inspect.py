"""Logs and tasks for Inspect: known records in, the format's own names out."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import zipfile
from pathlib import Path

import msgspec
import pytest

from charter.errors import DataError
from charter.evaluate.suites.suite import Item, Reading
from charter.interop import inspect_tasks
from charter.interop.inspect_export import encoded, export
from charter.interop.inspect_log import Evaluation, log_of, of_answer, of_reading, sample_of
from charter.records import Answer, Measurement, Message, Origin, Prompt
from charter.store import RunFolder

WHEN = "2026-01-02T03:04:05+00:00"
PROMPT = Prompt("q/1", (Message("user", "Is it safe?"),), "redteam", "fraud", "eval")


def answer(model: str, name: str, **scores: float | None) -> Answer:
    prompt = msgspec.structs.replace(PROMPT, id=name)
    origin = Origin("evaluate", f"{model}@1", seed=2**62)
    return Answer(f"{model}/{name}", model, prompt, "No.", 3, {**scores}, origin)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    stage = RunFolder(tmp_path / "demo").stage("evaluate", "e")
    for model in ("base", "rl_cai"):
        stage.log(Answer).append(
            [answer(model, "a", compliance=0.25), answer(model, "b", compliance=None)]
        )
    stage.finish(1.0, {"scorers": {"compliance": "readout@1"}})
    figure = Measurement("base", "harmful_compliance", 0.5, 0.1, 0.9, 2, 1)
    (tmp_path / "demo" / "summary.json").write_bytes(
        msgspec.json.encode({"measurements": [figure]})
    )
    return tmp_path / "demo"


def evaluation() -> Evaluation:
    samples = [
        of_answer(answer("base", name, compliance=p)) for name, p in (("a", 0.2), ("b", 0.6))
    ]
    return Evaluation("demo", "base", samples, [], WHEN, {"run": "demo"})


def test_a_run_gives_a_log_a_model_with_means_and_figures(run: Path, tmp_path: Path) -> None:
    found = export(run, tmp_path / "out")
    assert [*found.logs.values()] == [2, 2]
    base, rl_cai = found.logs
    assert "_demo_rl-cai_" in rl_cai
    log = json.loads((tmp_path / "out" / base).read_text())
    assert (log["version"], log["status"], log["eval"]["model"]) == (2, "success", "charter/base")
    mean, figures = log["results"]["scores"]
    assert (mean["scored_samples"], mean["unscored_samples"]) == (1, 1)
    assert mean["metrics"]["mean"]["value"] == 0.25
    interval = figures["metrics"]["harmful_compliance"]["metadata"]
    assert interval == {"low": 0.1, "high": 0.9, "n": 2, "unscored": 1}
    scores = {s["id"]: s["scores"] for s in log["samples"]}
    assert scores["a"]["compliance"]["value"] == 0.25
    assert scores["b"] == {}, "a missing reading is no zero"


def test_a_file_is_named_as_inspect_names_its_own(run: Path, tmp_path: Path) -> None:
    name = next(iter(export(run, tmp_path / "out").logs))
    time, task, model, key = Path(name).stem.split("_")
    # Inspect lists a `.json` file only if it begins like this, and reads its id from the end.
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-00-00", time)
    assert (task, model) == ("demo", "base") and key.isalnum()
    assert json.loads((tmp_path / "out" / name).read_text())["eval"]["task_id"] == key


def test_a_seed_survives_readers_with_short_numbers() -> None:
    (first, _) = log_of(evaluation())["samples"]
    assert first["metadata"]["seed"] == str(2**62)
    assert first["messages"][-1] == {"role": "assistant", "content": "No.", "source": "generate"}


def test_a_choice_is_right_wrong_or_unscored() -> None:
    item = Item(PROMPT, ("yes", "no"), right=1)
    choices = {"likelihood": 1, "letters": 0, "judge": None}
    found = sample_of(of_reading(Reading("r", "hhh", "base", item, choices=choices)), evaluation())
    assert (found["target"], found["choices"]) == ("B", ["yes", "no"])
    assert {k: v["value"] for k, v in found["scores"].items()} == {"likelihood": 1, "letters": 0}


def test_the_zip_holds_the_same_and_has_no_clock_in_it() -> None:
    once, again = (encoded(evaluation(), "eval") for _ in range(2))
    assert once == again
    with zipfile.ZipFile(io.BytesIO(once)) as archive:
        assert "samples/a_epoch_1.json" in archive.namelist()
        header = json.loads(archive.read("header.json"))
        sample = json.loads(archive.read("samples/b_epoch_1.json"))
        summaries = json.loads(archive.read("summaries.json"))
    whole = log_of(evaluation())
    assert header == {k: v for k, v in whole.items() if k != "samples"}
    assert sample == whole["samples"][1]
    assert [s["scores"]["compliance"]["value"] for s in summaries] == [0.2, 0.6]


def test_a_folder_without_an_evaluation_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no evaluation"):
        export(tmp_path / "empty", tmp_path / "out")


def test_tasks_come_with_their_prompts_and_compile(tmp_path: Path) -> None:
    found = inspect_tasks.write(tmp_path, ("harm", "sycophancy"), limit=3)
    assert found.tasks == {"harm": 3} and list(found.skipped) == ["sycophancy"]
    source = Path(found.file).read_text()
    compile(source, found.file, "exec")
    assert source.count("@task") == 1 and "return writing('harm')" in source
    first = json.loads((tmp_path / "harm.jsonl").read_text().splitlines()[0])
    assert first["metadata"]["kind"] == "redteam" and first["input"][0]["role"] == "user"


@pytest.mark.skipif(
    importlib.util.find_spec("inspect_ai") is None, reason="inspect-ai is not installed"
)
@pytest.mark.parametrize("kind", ["json", "eval"])
def test_inspect_reads_the_logs(run: Path, tmp_path: Path, kind: str) -> None:
    log_module = pytest.importorskip("inspect_ai.log")
    export(run, tmp_path / "out", kind=kind)  # type: ignore[arg-type]
    listed = log_module.list_eval_logs(os.fspath(tmp_path / "out"))
    assert {log.task for log in listed} == {"demo"} and len(listed) == 2
    found = log_module.read_eval_log(next(log for log in listed if "_base_" in log.name))
    assert [s.id for s in found.samples] == ["a", "b"]
    assert found.samples[0].scores["compliance"].value == 0.25
    assert found.results.scores[0].metrics["mean"].value == 0.25
