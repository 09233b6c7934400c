"""The Ray engine: the bytes of the local engine, whatever dies on the way."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from charter import store
from charter.cache import CachedModel, CallCache
from charter.constitution import document
from charter.engine.config import EngineConfig
from charter.engine.local import process
from charter.engine.mapping import using
from charter.errors import DataError, StoreError, WorkError
from charter.feedback import FeedbackConfig, FeedbackDeps, PairsDeps, run, sample
from charter.judging.multiple_choice import MultipleChoiceJudge
from charter.models import hf
from charter.models.loading import Models
from charter.records import Checkpoint, Comparison, Dropped, Message, Prompt, Sampling
from charter.store import (
    DROPPED,
    RECORDS,
    Manifest,
    RecordLog,
    RunFolder,
    StageFolder,
)

ray = pytest.importorskip("ray", reason="the ray extra is not installed")

from charter.engine.ray import RayMapper  # noqa: E402 - only where Ray is

CONFIG = EngineConfig("ray", actors=2, min_actors=2, cpus=0.5, ahead=4, object_store_mb=80)
CHUNK = 3


def items(count: int = 31) -> list[str]:
    return [f"item{number}" for number in range(count)]


def work(group: Sequence[str]) -> list[Prompt | Dropped]:
    """Drops every fifth item; what it makes shows which chunk it was made in."""
    batch = (Message("user", ",".join(group)),)
    return [
        Dropped(item, "test", "fifth") if int(item[4:]) % 5 == 4 else Prompt(item, batch)
        for item in group
    ]


@pytest.fixture(scope="module")
def mapper() -> Iterator[RayMapper]:
    """One Ray for the file. Workers do not know this file: its code travels with the work."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    found = RayMapper(CONFIG)
    try:
        assert [made for _, made in found(lambda group: group, [["up"]])] == [["up"]]
    except WorkError as error:
        pytest.skip(f"Ray does not come up on this machine, which may be too busy: {error}")
    yield found
    found.close()


def go(stage: StageFolder, work: Any = work, given: Any = None, **options: Any) -> Manifest:
    return process(
        stage,
        items() if given is None else given,
        work,
        record_type=Prompt,
        identify=lambda item: item if isinstance(item, str) else item.id,
        chunk=CHUNK,
        **options,
    )


def bytes_of(stage: StageFolder) -> dict[str, bytes]:
    return {name: (stage.path / name).read_bytes() for name in (RECORDS, DROPPED)}


@pytest.fixture
def stage(tmp_path: Path) -> StageFolder:
    return RunFolder(tmp_path / "run").stage("test", "asked")


@pytest.fixture
def expected(tmp_path: Path) -> Manifest:
    return go(RunFolder(tmp_path / "local").stage("test", "asked"))


def test_ray_writes_the_bytes_of_the_local_engine(
    stage: StageFolder, expected: Manifest, mapper: RayMapper
) -> None:
    def uneven(group: Sequence[str]) -> list[Prompt | Dropped]:
        time.sleep(0.2 if "item3" in group else 0.0)  # the first chunks come back last
        return work(group)

    told: list[int] = []
    with using(mapper):
        manifest = go(stage, uneven, progress=lambda _stage, done, _total: told.append(done))
    assert manifest.files == expected.files
    assert (
        (manifest.kept, manifest.dropped) == (expected.kept, expected.dropped) == (25, {"fifth": 6})
    )
    assert told == [*range(CHUNK, 31, CHUNK), 31]


def test_what_the_work_raises_reaches_the_run_and_it_goes_on_on_either_engine(
    stage: StageFolder, expected: Manifest, mapper: RayMapper
) -> None:
    def failing(group: Sequence[str]) -> list[Prompt | Dropped]:
        if "item15" in group:
            raise DataError("cannot be read", file="some.jsonl", line=3, expected="JSON")
        return work(group)

    with using(mapper), pytest.raises(DataError, match="cannot be read") as caught:
        go(stage, failing)
    assert (caught.value.file, caught.value.line, caught.value.exit_code) == ("some.jsonl", 3, 2)
    assert stage.manifest is None
    assert [r.id for r in stage.log(Prompt)] == [f"item{n}" for n in range(15) if n % 5 != 4]
    assert go(stage).files == expected.files


def test_a_killed_worker_loses_and_doubles_nothing(
    stage: StageFolder, expected: Manifest, mapper: RayMapper, tmp_path: Path
) -> None:
    once = tmp_path / "killed"

    def killed(group: Sequence[str]) -> list[Prompt | Dropped]:
        if "item9" in group and not once.exists():
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return work(group)

    with using(mapper):
        assert go(stage, killed).files == expected.files
    assert once.exists()


def test_a_full_disk_ends_the_run_and_it_goes_on(
    stage: StageFolder, expected: Manifest, mapper: RayMapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, written = RecordLog.append, 0

    def full(self: RecordLog, records: Sequence[Any]) -> None:
        nonlocal written
        written += 1
        if written == 7:
            raise StoreError(f"writing {self.path} failed: No space left on device")
        append(self, records)

    with monkeypatch.context() as patch, using(mapper):
        patch.setattr(RecordLog, "append", full)
        with pytest.raises(StoreError, match="No space left"):
            go(stage)
    with using(mapper):
        assert go(stage).files == expected.files


@pytest.mark.slow
def test_the_death_of_all_of_ray_ends_in_the_same_bytes(tmp_path: Path, expected: Manifest) -> None:
    """In a process of its own, since it may take the process along."""
    code = (
        "import os, signal, sys, psutil\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import test_ray as t\n"
        "t.ray.cloudpickle.register_pickle_by_value(t)\n"
        "def told(stage, done, total):\n"
        "    if done == 9:\n"
        "        for child in psutil.Process().children(recursive=True):\n"
        "            if child.name() in ('raylet', 'gcs_server'):\n"
        "                os.kill(child.pid, signal.SIGKILL)\n"
        "mapper = t.RayMapper(t.CONFIG)\n"
        "with t.using(mapper):\n"
        "    t.go(t.RunFolder(sys.argv[2]).stage('test', 'asked'), progress=told)\n"
        "mapper.close()\n"
    )
    folder = tmp_path / "run"
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(Path(store.__file__).parents[1])}
    quiet = subprocess.DEVNULL  # a pipe would be held open by Ray's orphans
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(
            command, env=environment, check=False, timeout=240, stdout=quiet, stderr=quiet
        )
    stage = RunFolder(folder).stage("test", "asked")
    assert len(list(stage.log(Prompt))) >= 7
    if stage.manifest is None:
        go(stage)
    assert stage.manifest is not None
    assert stage.manifest.files == expected.files


def labelled(folder: Path, model: Path) -> list[dict[str, Any]]:
    """Pairs and labels of a tiny network, which samples, caches and judges."""
    cache, name = CallCache(folder / "calls.sqlite"), Checkpoint(str(model))
    models, constitution = Models(cache=cache), document.load("default")
    prompts = [Prompt(f"p{n}", (Message("user", f"Say {n}."),), "benign") for n in range(100)]
    config = FeedbackConfig(answer=Sampling(max_tokens=4), self_preference=0)
    pairs, labels = (RunFolder(folder).stage(stage, "asked") for stage in ("pairs", "feedback"))
    policy = CachedModel(models.lazily(name), cache)
    made = sample(prompts, config, deps=PairsDeps(policy, pairs))
    questions = {p.id: p.comparison_question for p in constitution.principles}
    judge = MultipleChoiceJudge(models.choices(name), questions, min_mass=0.0)
    found = run(pairs.log(Comparison), constitution, config, deps=FeedbackDeps(judge, labels))
    cache.close()
    return [{"files": m.files, "dropped": m.dropped, "notes": m.notes} for m in (made, found)]


def test_a_network_gives_the_same_pairs_and_labels_on_both_engines(
    tmp_path: Path, tiny_model_folder: Path, mapper: RayMapper
) -> None:
    for name in ("local", "ray"):
        (tmp_path / name).mkdir()
    with hf.quiet_loading():
        local = labelled(tmp_path / "local", tiny_model_folder)
        with using(mapper):
            assert labelled(tmp_path / "ray", tiny_model_folder) == local
    sizes = [_calls(tmp_path / name / "calls.sqlite") for name in ("local", "ray")]
    assert sizes[0] == sizes[1] != set()


def _calls(file: Path) -> set[tuple[str, bytes]]:
    with closing(sqlite3.connect(file)) as db:
        return set(db.execute("SELECT key, answer FROM calls"))
