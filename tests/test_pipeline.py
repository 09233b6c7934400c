"""A whole run on a tiny network: what it leaves behind, and how it goes on after anything.

Run as a program, this file is the victim of the kill test: it does what the tests do, in a
process that is killed half way.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from charter import pipeline
from charter.critique import CritiqueConfig
from charter.display import show_summary
from charter.engine import local
from charter.errors import DataError, InputError, StoreError
from charter.evaluate.config import SCORERS, EvaluateConfig
from charter.evaluate.twin import TwinConfig
from charter.feedback import FeedbackConfig
from charter.judging.config import JudgeConfig
from charter.judging.label_statistics import lines
from charter.models import hf
from charter.preference import PreferenceConfig
from charter.recipe import PromptsConfig, Recipe
from charter.records import Prompt, Sampling, Scored
from charter.rl import RlConfig
from charter.sft import SftConfig
from charter.training.rl_settings import MonitorSettings, PPOSettings
from charter.training.settings import TrainSettings

DATA_STAGES = ("critique", "sft_data", "pairs", "feedback", "evaluate")
SHORT = Sampling(max_tokens=20, temperature=0.7)
TRAIN = TrainSettings(batch_size=4, lora_rank=2, learning_rate=1e-3)


def recipe_for(model: Path, run: Path) -> Recipe:
    return Recipe(
        "charter/recipe/1",
        "tiny",
        run=str(run),
        model=str(model),
        prompts=PromptsConfig(
            critique_redteam=5,
            sft_benign=4,
            sft_borderline=2,
            pairs_redteam=6,
            pairs_benign=3,
            eval_redteam=3,
            eval_benign=2,
            eval_borderline=2,
        ),
        critique=CritiqueConfig(
            critic="few-shot", shots=1, rounds=1, draft=SHORT, critique=SHORT, revision=SHORT
        ),
        sft=SftConfig(helpful=SHORT, train=TRAIN),
        # A random network hardly ever says A or B: the judge is told to make do with that.
        judges={"lenient": JudgeConfig("multiple-choice", min_mass=0.0)},
        feedback=FeedbackConfig(judge="lenient", answer=SHORT),
        preference=PreferenceConfig(train=TRAIN),
        rl=RlConfig(method="dpo", train=TRAIN),
        evaluate=EvaluateConfig(answers=SHORT, bootstrap_draws=20),
    )


class Hashed:
    """Scores a text by its hash: cheap, fixed, and of no meaning."""

    def __init__(self, name: str) -> None:
        self.identity = f"hashed@{name}"

    def score(self, exchanges: Sequence[tuple[Prompt, str]]) -> list[Scored]:
        digests = (hashlib.sha256(f"{self.identity}{text}".encode()) for _, text in exchanges)
        return [Scored(round(d.digest()[0] / 255, 3)) for d in digests]


def stand_ins(put: Callable[[Any, str, Any], None]) -> None:
    """Replace what needs the embedded model, and make chunks small enough to be cut between."""
    put(pipeline, "readout_identity", lambda name: name)
    put(pipeline.Run, "_scorers", lambda _: {name: Hashed(name) for name in SCORERS})
    defaults = local.process.__kwdefaults__ or {}
    put(local.process, "__kwdefaults__", {**defaults, "chunk": 3})


@pytest.fixture(scope="module", autouse=True)
def _stand_ins() -> Iterator[None]:
    threads = torch.get_num_threads()
    # One thread: a network this small only loses time to a second one. Frozen objects: every run
    # collects garbage several times, and all that the test session has imported would be walked.
    torch.set_num_threads(1)
    gc.freeze()
    with pytest.MonkeyPatch.context() as patch:
        stand_ins(patch.setattr)
        yield
    gc.unfreeze()
    torch.set_num_threads(threads)


Event = tuple[str, int, int | None]


class Finished:
    """A run that went through, with every report of progress that it made."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe, self.path = recipe, Path(recipe.run)
        self.events: list[Event] = []
        self.summary = pipeline.run(recipe, progress=lambda *event: self.events.append(event))

    def copy(self, path: Path) -> Recipe:
        """The same run in another folder."""
        shutil.copytree(self.path, path)
        return msgspec.structs.replace(self.recipe, run=str(path))


@pytest.fixture(scope="module")
def finished(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return Finished(recipe_for(tiny_model_folder, tmp_path_factory.mktemp("runs") / "whole"))


def records(run: str | Path) -> dict[str, bytes]:
    files = {stage: Path(run) / stage / "records.jsonl" for stage in DATA_STAGES}
    return {stage: file.read_bytes() for stage, file in files.items() if file.exists()}


def no_model(*_: Any, **__: Any) -> hf.HFModel:
    raise AssertionError("a model was loaded for a run that has finished")


def test_every_stage_leaves_a_manifest_and_records(finished: Finished) -> None:
    for stage in pipeline.STAGES:
        manifest = json.loads((finished.path / stage / "manifest.json").read_text())
        assert manifest["stage"] == stage
        for name, entry in manifest["files"].items():
            blob = (finished.path / stage / name).read_bytes()
            assert hashlib.sha256(blob).hexdigest() == entry["sha256"]
    kept = records(finished.path)
    assert set(kept) == set(DATA_STAGES) and all(kept.values())
    assert "<html" in (finished.path / "report.html").read_text()


def test_progress_is_reported_for_every_stage_in_order(finished: Finished) -> None:
    assert list(dict.fromkeys(stage for stage, *_ in finished.events)) == list(pipeline.STAGES)
    last = {stage: (done, total) for stage, done, total in finished.events}
    assert all(done == total for done, total in last.values()), last


def test_the_summary_has_its_keys_and_every_measurement_its_interval(finished: Finished) -> None:
    tree = json.loads((finished.path / "summary.json").read_text())
    assert set(tree) == {
        "recipe",
        "constitution_digest",
        "measurements",
        "dropped",
        "seconds",
        "run",
        "spend",
    }
    assert tree == json.loads(msgspec.json.encode(finished.summary))
    assert tree["recipe"]["model"] == finished.recipe.model
    assert set(tree["seconds"]) == set(pipeline.STAGES)
    assert {m["model"] for m in tree["measurements"]} == {"base", "sl_cai", "rl_cai"}
    for measured in tree["measurements"]:
        assert set(measured) == {"model", "metric", "value", "low", "high", "n", "unscored"}
        assert measured["low"] <= measured["value"] <= measured["high"]


def test_no_evaluation_prompt_was_trained_on(finished: Finished) -> None:
    def ids(stage: str, *path: str) -> set[str]:
        found = set()
        for line in (finished.path / stage / "records.jsonl").read_text().splitlines():
            record = json.loads(line)
            for key in path:
                record = record[key]
            found.add(record["id"])
        return found

    seen = ids("critique", "prompt") | ids("sft_data", "prompt") | ids("pairs", "prompt")
    assert not ids("evaluate", "prompt") & seen


def test_a_second_call_does_nothing(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {
        p: p.stat().st_mtime_ns for s in pipeline.STAGES for p in (finished.path / s).rglob("*")
    }
    monkeypatch.setattr(hf, "load", no_model)
    events: list[Event] = []
    again = pipeline.run(finished.recipe, progress=lambda *event: events.append(event))
    assert (again, events) == (finished.summary, [])
    assert all(p.stat().st_mtime_ns == time for p, time in before.items())


@pytest.mark.parametrize("paid", [True, False], ids=["calls-kept", "calls-lost"])
def test_a_data_stage_cut_off_in_a_line_ends_with_the_same_bytes(
    finished: Finished, tmp_path: Path, paid: bool
) -> None:
    recipe = finished.copy(tmp_path / "cut")
    if not paid:
        for file in (tmp_path / "cut").glob("calls.sqlite*"):
            file.unlink()
    for stage in DATA_STAGES:
        (tmp_path / "cut" / stage / "manifest.json").unlink()
        file = tmp_path / "cut" / stage / "records.jsonl"
        blob = file.read_bytes()
        lines = blob.splitlines(keepends=True)
        cut = len(blob) - len(lines[-1]) // 2 - sum(map(len, lines[len(lines) // 2 : -1]))
        assert 0 < cut < len(blob)
        file.write_bytes(blob[:cut])
    summary = pipeline.run(recipe)
    assert records(recipe.run) == records(finished.path)
    assert summary.measurements == finished.summary.measurements
    # Nothing that was trained depends on anything new, so nothing is trained again.
    assert not list((tmp_path / "cut").glob("*.old-*"))


def test_a_changed_recipe_redoes_what_depends_on_it_and_keeps_the_old(
    finished: Finished, tmp_path: Path
) -> None:
    recipe = finished.copy(tmp_path / "changed")
    before = records(recipe.run)
    feedback = msgspec.structs.replace(recipe.feedback, principles="all")
    pipeline.run(msgspec.structs.replace(recipe, feedback=feedback), through="preference")
    aside = {p.name.partition(".old-")[0]: p for p in (tmp_path / "changed").glob("*.old-*")}
    # The pairs are the same, whoever judges them. What comes later is out of date.
    assert set(aside) == {"feedback", "preference", "rl", "evaluate"}
    assert not (tmp_path / "changed" / "evaluate").exists()
    assert (aside["feedback"] / "records.jsonl").read_bytes() == before["feedback"]
    assert (aside["feedback"] / "manifest.json").exists()
    after = records(recipe.run)
    assert after["critique"] == before["critique"] and after["pairs"] == before["pairs"]
    assert after["feedback"] != before["feedback"]
    votes = json.loads(after["feedback"].splitlines()[0])["label"]["votes"]
    assert len(votes) > 1


def test_people_can_take_the_judges_place(finished: Finished, tmp_path: Path) -> None:
    def dialogue(number: int, answer: str) -> str:
        return f"\n\nHuman: question {number}\n\nAssistant: {answer}"

    rows = [
        {"chosen": dialogue(i, f"better {i}"), "rejected": dialogue(i, f"worse {i}")}
        for i in [*range(7), 6]  # files repeat themselves
    ]
    file = tmp_path / "harmless.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = finished.copy(tmp_path / "twin")
    twin = msgspec.structs.replace(
        recipe,
        judges={"people": JudgeConfig("human", file=str(file))},
        feedback=msgspec.structs.replace(recipe.feedback, judge="people", pairs=str(file)),
    )
    pipeline.run(twin, through="preference")
    labels = statistics(tmp_path / "twin")
    labelled = [json.loads(line) for line in records(twin.run)["feedback"].splitlines()]
    assert len(labelled) == labels["n"] == 7
    for record in labelled:
        better_first = record["comparison"]["a"].startswith("better")
        assert record["label"]["p_a"] == float(better_first)
    assert labels["judge"].startswith("human:harmless.jsonl@")
    assert labels["self_preference"] is None
    assert not list((tmp_path / "twin").glob("critique.old-*"))


def test_a_twin_learns_from_people_what_the_other_learns_from_the_judge(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"prompt": f"question {i}", "a": f"better {i}", "b": f"worse {i}", "label": "a"}
        for i in range(6)
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = finished.copy(tmp_path / "twin")
    twin = msgspec.structs.replace(
        recipe,
        feedback=msgspec.structs.replace(recipe.feedback, pairs=str(file)),
        twin=TwinConfig("human"),
    )
    summary = pipeline.run(twin)
    assert set(summary.seconds) == set(pipeline.stages_of(twin)) > set(pipeline.STAGES)
    assert not list((tmp_path / "twin").glob("sft.old-*"))
    notes = {name: notes_of(twin, name) for name in ("feedback", "feedback_rlhf", "twin")}
    judges = [notes[name]["statistics"]["judge"] for name in ("feedback", "feedback_rlhf")]
    assert judges[0].startswith("multiple-choice@") and judges[1].startswith("human:pairs.jsonl@")
    assert notes["twin"]["labelled_by"] == {"rl_cai": judges[0], "rlhf": judges[1]}
    assert notes["twin"]["harmless"]["raw"]["n"] == 3
    assert notes_of(twin, "rl")["checkpoint"] != notes_of(twin, "rl_rlhf")["checkpoint"]
    assert {m.model for m in summary.measurements} == {"base", "sl_cai", "rl_cai", "rlhf"}
    assert "AI against human labels" in (tmp_path / "twin" / "report.html").read_text()
    show_summary(summary)
    assert "rl_cai beats rlhf, harmless" in capsys.readouterr().out
    assert pipeline.run(twin) == summary


def test_a_judge_is_the_reward_and_another_one_watches(finished: Finished, tmp_path: Path) -> None:
    recipe = finished.copy(tmp_path / "direct")
    direct = msgspec.structs.replace(
        recipe,
        judges={
            **recipe.judges,
            "payer": JudgeConfig("pointwise", min_mass=0.0),
            "watcher": JudgeConfig("multiple-choice", min_mass=0.0, format="lee"),
        },
        rl=RlConfig(
            method="ppo",
            reward="payer",
            ppo=PPOSettings(steps=2, prompts_per_step=2, max_new_tokens=8, lora_rank=2),
            monitor=MonitorSettings(held_out="watcher"),
        ),
    )
    pipeline.run(direct, through="rl")
    notes = notes_of(direct, "rl")
    assert notes["reward"].startswith("win-rate:pointwise@")
    assert notes["monitor"]["held_out"].startswith("win-rate:multiple-choice@")
    same = msgspec.structs.replace(direct.rl, monitor=MonitorSettings(held_out="payer"))
    with pytest.raises(InputError, match="also rewards"):
        pipeline.run(msgspec.structs.replace(direct, rl=same), through="rl")


def notes_of(recipe: Recipe, stage: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(recipe.run) / stage / "manifest.json").read_text())
    notes: dict[str, Any] = found["notes"]
    return notes


def statistics(run: Path) -> dict[str, Any]:
    notes = json.loads((run / "feedback" / "manifest.json").read_text())["notes"]
    found: dict[str, Any] = notes["statistics"]
    return found


def test_the_labels_say_what_they_are_worth(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = statistics(finished.path)
    assert labels["n"] == len(records(finished.path)["feedback"].splitlines())
    assert labels["judge"].startswith("multiple-choice@")
    assert {"position_consistency", "position_locked", "length_bias"} <= set(labels)
    # The judge is a local model, so its own taste is measured.
    assert labels["self_preference"]["n"] == labels["n"]
    show_summary(finished.summary)
    shown = capsys.readouterr().out
    for line in lines(labels):
        assert line.partition(" (")[0] in shown


def test_through_stops_after_the_named_stage(finished: Finished, tmp_path: Path) -> None:
    recipe = msgspec.structs.replace(finished.recipe, run=str(tmp_path / "part"))
    summary = pipeline.run(recipe, through="sft_data")
    assert set(summary.seconds) == {"critique", "sft_data"}
    assert summary.measurements == ()
    assert (tmp_path / "part" / "report.html").exists()
    whole = records(finished.path)
    assert records(recipe.run) == {stage: whole[stage] for stage in summary.seconds}


def test_another_seed_gives_other_records(finished: Finished, tmp_path: Path) -> None:
    recipe = msgspec.structs.replace(finished.recipe, run=str(tmp_path / "other"), seed=1)
    pipeline.run(recipe, through="critique")
    other = (tmp_path / "other" / "critique" / "records.jsonl").read_bytes()
    assert other != records(finished.path)["critique"]


def test_wrong_prompts_are_found_before_anything_is_written(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hf, "load", no_model)
    file = tmp_path / "redteam.jsonl"
    file.write_text('{"prompt": "one that is for training", "split": "train"}\n')
    prompts = msgspec.structs.replace(finished.recipe.prompts, redteam=str(file))
    recipe = msgspec.structs.replace(finished.recipe, run=str(tmp_path / "run"), prompts=prompts)
    with pytest.raises(DataError, match="no redteam prompts for the eval split"):
        pipeline.run(recipe)
    assert not (tmp_path / "run").exists()


def test_one_id_for_prompts_of_two_kinds_is_found_before_anything_is_written(
    finished: Finished, tmp_path: Path
) -> None:
    for kind in ("redteam", "benign"):
        rows = [
            {"id": "7", "prompt": f"a {kind} one", "split": split} for split in ("train", "eval")
        ]
        (tmp_path / f"{kind}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    prompts = msgspec.structs.replace(
        finished.recipe.prompts,
        redteam=str(tmp_path / "redteam.jsonl"),
        benign=str(tmp_path / "benign.jsonl"),
    )
    recipe = msgspec.structs.replace(finished.recipe, run=str(tmp_path / "run"), prompts=prompts)
    with pytest.raises(DataError, match="prompt id '7' stands for a redteam and for a benign"):
        pipeline.run(recipe)
    assert not (tmp_path / "run").exists()


HOLDER = """
import fcntl, sys
with open(sys.argv[1], "w") as stream:
    fcntl.flock(stream, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_while_the_first_one_lives(finished: Finished) -> None:
    command = [sys.executable, "-c", HOLDER, str(finished.path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreError, match="another process"):
            pipeline.run(finished.recipe)
        holder.kill()
    assert pipeline.run(finished.recipe) == finished.summary


def test_runs_that_were_killed_end_as_if_they_had_not_been(
    finished: Finished, tmp_path: Path
) -> None:
    """Three runs are killed outright, each at a random moment of a random third of the way."""
    source, count = random.Random(), len(finished.events)
    moments = [source.randrange(count * n // 3, count * (n + 1) // 3) for n in range(3)]
    plans = [(str(tmp_path / str(n)), at, 0.05 * source.random()) for n, at in enumerate(moments)]
    killed = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps([msgspec.to_builtins(finished.recipe), plans]),
        text=True,
        capture_output=True,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(pipeline.__file__).parents[1]),
            "OMP_NUM_THREADS": "1",
        },
    )
    assert killed.returncode == 0, killed.stderr
    for folder, *_ in plans:
        recipe = msgspec.structs.replace(finished.recipe, run=folder)
        # A last report may come so late that the run ends before the blow: it then has to do the
        # end again.
        (Path(folder) / "summary.json").unlink(missing_ok=True)
        summary = pipeline.run(recipe)
        assert records(folder) == records(finished.path), plans
        assert summary.measurements == finished.summary.measurements, plans


def be_killed(recipe: Recipe, at: int, delay: float) -> None:
    """Run a recipe, and die `delay` seconds after its report of progress number `at`."""
    count = 0

    def progress(stage: str, done: int, total: int | None) -> None:
        nonlocal count
        if count == at:
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        count += 1

    pipeline.run(recipe, progress=progress)
    os.kill(os.getpid(), signal.SIGKILL)


def victims() -> None:
    """One process a plan, forked so that the libraries are imported once."""
    stand_ins(setattr)
    gc.freeze()
    tree, plans = json.load(sys.stdin)
    whole = msgspec.convert(tree, Recipe)
    for folder, at, delay in plans:
        child = os.fork()
        if child == 0:
            be_killed(msgspec.structs.replace(whole, run=folder), at, delay)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status


if __name__ == "__main__":
    victims()
