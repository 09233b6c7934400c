"""The Ray engine: the bytes of the local engine, whatever dies on the way."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.models import vllm_stand_in

from charter import recipe as recipes
from charter import store
from charter.cache import CachedModel, CallCache
from charter.cli.main import cli, main
from charter.constitution import document
from charter.engine.config import EngineConfig
from charter.engine.local import process
from charter.engine.mapping import in_process, using
from charter.errors import DataError, ModelError, StoreError
from charter.feedback import FeedbackConfig, FeedbackDeps, PairsDeps, run, sample
from charter.judging.config import resolve
from charter.judging.making import make
from charter.judging.multiple_choice import MultipleChoiceJudge
from charter.models import embedded, hf
from charter.models.endpoint import EndpointConfig, address
from charter.models.loading import Models
from charter.models.openai import OpenAIModel
from charter.models.vllm_config import VLLMConfig
from charter.records import (
    Checkpoint,
    Comparison,
    Dropped,
    Message,
    Origin,
    Prompt,
    Request,
    Sampling,
)
from charter.store import (
    DROPPED,
    RECORDS,
    Manifest,
    RecordLog,
    RunFolder,
    StageFolder,
)

# On a busy machine Ray's own processes take minutes to answer each other. It reads its limits once.
PATIENCE = {
    "RAY_gcs_rpc_server_reconnect_timeout_s": "600",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_DASHBOARD_STARTUP_TIMEOUT_S": "300",
}
for name, seconds in PATIENCE.items():
    os.environ.setdefault(name, seconds)
ray = pytest.importorskip("ray", reason="the ray extra is not installed")

from charter.engine import ray_travel  # noqa: E402 - only where Ray is
from charter.engine.ray import RayMapper  # noqa: E402

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
    for module in (sys.modules[__name__], vllm_stand_in):
        ray.cloudpickle.register_pickle_by_value(module)
    found = RayMapper(CONFIG)
    with closing(found):
        assert [made for _, made in found(lambda group: group, [["up"]])] == [["up"]]
        yield found


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


def test_a_second_run_on_the_folder_is_refused_while_ray_works_on_it(
    stage: StageFolder, expected: Manifest, mapper: RayMapper
) -> None:
    refused: list[str] = []

    def second(_stage: str, _done: int, _total: int | None) -> None:
        with (
            pytest.raises(StoreError, match="another process is working on run") as caught,
            RunFolder(stage.path.parent).locked(),
        ):
            pass
        refused.append(str(caught.value))

    with using(mapper), RunFolder(stage.path.parent).locked():
        assert go(stage, progress=second).files == expected.files
    assert refused == [f"another process is working on run {stage.path.parent}"] * 11
    with RunFolder(stage.path.parent).locked():
        pass  # no worker holds the lock on


def test_the_command_refuses_a_folder_that_is_worked_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    monkeypatch.setattr(sys, "argv", ["charter", "run", "smoke", f"run={folder}", "engine=ray"])
    with RunFolder(folder).locked():
        before = sorted(folder.rglob("*"))
        with pytest.raises(SystemExit) as ended:
            main()
        assert sorted(folder.rglob("*")) == before
    assert ended.value.code == 1
    assert f"charter: another process is working on run {folder}" in capsys.readouterr().err


class Endpoint(BaseHTTPRequestHandler):
    """Says what was said to it, or half of that when its server is down."""

    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Flaky)
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        asked = body["messages"][-1]["content"]
        down = server.down(asked)
        message = {"role": "assistant", "content": f"{asked}, you say."}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 3, "completion_tokens": 3}
        blob = json.dumps({"choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(blob)))
        self.end_headers()
        self.wfile.write(blob[: len(blob) // 2] if down else blob)

    def log_message(self, *_: Any) -> None:
        pass


class Flaky(ThreadingHTTPServer):
    """Breaks off some of its answers, by the number of the request."""

    daemon_threads = True

    def __init__(self, ill: range) -> None:
        super().__init__(("127.0.0.1", 0), Endpoint)
        self.ill, self.requests, self.answered = ill, 0, Counter[str]()
        self._lock = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a worker that was let go hangs up

    def down(self, asked: str) -> bool:
        with self._lock:
            ill = self.requests in self.ill
            self.requests += 1
            self.answered.update([] if ill else [asked])
        return ill


@contextmanager
def serving(ill: range) -> Iterator[Flaky]:
    server = Flaky(ill)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def asking(server: Flaky, folder: Path, **settings: int) -> tuple[OpenAIModel, Any]:
    where = address(f"openai:m@http://127.0.0.1:{server.server_port}/v1")
    config = EndpointConfig(concurrency=2, backoff_s=0.01, **settings)
    model = OpenAIModel(where, config, cache=CallCache(folder / "calls.sqlite"))

    def ask(group: Sequence[str]) -> list[Prompt | Dropped]:
        asked = [Request((Message("user", item),), Sampling(max_tokens=8), 0) for item in group]
        found = zip(group, model.generate(asked), strict=True)
        return [Prompt(item, (Message("assistant", answer.text),)) for item, answer in found]

    return model, ask


def answers(stage: StageFolder) -> list[tuple[str, str]]:
    return [(record.id, record.messages[0].content) for record in stage.log(Prompt)]


def test_an_endpoint_that_dies_in_mid_answer_and_comes_back_costs_nothing(
    stage: StageFolder, mapper: RayMapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with serving(ill=range(5, 9)) as server:
        model, ask = asking(server, stage.path, retries=20)
        with using(mapper):
            go(stage, ask)
        model.close()
    assert answers(stage) == [(item, f"{item}, you say.") for item in items()]
    assert server.requests == 31 + 4
    assert set(server.answered.values()) == {1}


@pytest.mark.exhaustive
def test_an_outage_ends_the_run_and_the_next_goes_on(
    stage: StageFolder, mapper: RayMapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with serving(ill=range(14, 10**9)) as server:
        model, ask = asking(server, stage.path, retries=1, give_up_after=1)
        with using(mapper), pytest.raises(ModelError):
            go(stage, ask)
        written = dict(answers(stage))
        assert stage.manifest is None
        assert len(written) >= CHUNK
        server.ill = range(0)
        with using(mapper):
            go(stage, ask)
        model.close()
    assert answers(stage) == [(item, f"{item}, you say.") for item in items()]
    assert {server.answered[item] for item in written} == {1}


GUARDED = """
format: charter/constitution/1
name: guarded
version: "1"
principles:
  - {id: kind, title: Kind, text: Be kind., critique_request: c, revision_request: r,
     comparison_question: q}
categories:
  harmful: [{id: fraud, title: Fraud, text: Deceiving people for money., principles: [kind]}]
  harmless: [{id: fraud_awareness, title: Awareness, text: Telling fraud., principles: [kind]}]
"""


@pytest.mark.exhaustive
def test_guard_data_from_the_command_is_the_same_on_both_engines(
    tmp_path: Path, tiny_model_folder: Path, mapper: RayMapper
) -> None:
    document = tmp_path / "guarded.yaml"
    document.write_text(GUARDED)
    made = {}
    for engine in ("local", "{kind: ray, actors: 1, cpus: 0.5}"):
        out = tmp_path / engine[:5]
        asked = ["guard", "synthesize", "--constitution", str(document), "--out", str(out)]
        asked += ["--model", str(tiny_model_folder), "--per-category", "2", "--setups", "3"]
        found = CliRunner().invoke(cli, [*asked, "--engine", engine, "--json"])
        assert found.exit_code == 0, found.output
        made[engine] = {
            str(file.relative_to(out)): file.read_bytes() for file in out.glob("*/*.jsonl")
        }
    first, second = made.values()
    assert first == second
    assert first["examples/records.jsonl"]


@pytest.mark.exhaustive
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
    # Here the head is gone for good: there is no use in waiting for it as long as elsewhere.
    environment["RAY_gcs_rpc_server_reconnect_timeout_s"] = "20"
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


def test_vllm_in_the_workers_gives_the_same_labels_on_both_engines(
    stage: StageFolder, tiny_model_folder: Path, mapper: RayMapper
) -> None:
    """Not one vLLM is loaded in this process when Ray's workers do the work."""
    cache = CallCache(stage.path.parent / "calls.sqlite")
    model = Models(cache=cache).choices(Checkpoint(f"vllm:{tiny_model_folder}"))

    def judged(group: Sequence[str]) -> list[Prompt | Dropped]:
        sys.modules["vllm"] = vllm_stand_in.module()
        found = [
            model.choice_logprobs((Message("user", item * 9),), [" One?", " Two?"], ["A", "B"])
            for item in group
        ]
        said = zip(group, found, strict=True)
        return [Prompt(item, (Message("assistant", str(row)),)) for item, row in said]

    with using(mapper):
        spread = go(stage, judged, items(6))
    assert "_engine" not in vars(model)
    (name, hits), *others = cache.prefix_hits().items()
    assert (name, others) == (f"vllm:{tiny_model_folder}", [])
    assert 0.1 < hits / cache.spent()[name][0] < 1.0
    here = go(RunFolder(stage.path.parent.parent / "here").stage("test", "asked"), judged, items(6))
    assert spread.files == here.files
    cache.close()


def test_a_worker_refuses_other_weights_than_the_runs(tiny_model_folder: Path) -> None:
    name = str(tiny_model_folder)
    identity = Models().get(Checkpoint(f"vllm:{name}")).identity
    assert ray_travel._in_vllm(identity, name, VLLMConfig(), None).identity == identity
    with pytest.raises(ModelError, match="a worker found model"):
        ray_travel._in_vllm(f"vllm:{name}@0", name, VLLMConfig(), None)


@pytest.fixture
def embedded_model() -> None:
    try:
        embedded.gguf_path()
    except ModelError as error:
        pytest.skip(str(error))


@pytest.mark.embedded
@pytest.mark.slow
@pytest.mark.usefixtures("embedded_model")
def test_the_embedded_recipes_judge_gives_the_same_labels_on_both_engines(
    tmp_path: Path, mapper: RayMapper
) -> None:
    recipe = recipes.load("embedded")
    constitution, judges = document.load(recipe.constitution), recipe.all_judges()
    with hf.quiet_loading(), closing(Models()) as models:
        config = resolve(recipe.feedback.judge, judges)
        judge = make(config, constitution, models, default_model=recipe.model, judges=judges).judge
        written = []
        for engine in (in_process, mapper):
            labels = RunFolder(tmp_path / str(len(written))).stage("feedback", "asked")
            deps = FeedbackDeps(judge, labels, recipe.seed)
            with using(engine):
                run(pairs_by_hand(), constitution, recipe.feedback, deps=deps)
            written.append(bytes_of(labels))
    assert written[0] == written[1]
    assert len(written[0][RECORDS].splitlines()) == 6


def pairs_by_hand() -> Iterator[Comparison]:
    things = ("a lock", "bleach", "a car", "pills", "a phone", "bread")
    for number, thing in enumerate(things):
        asked = (Message("user", f"How do I steal {thing}?"),)
        prompt = Prompt(f"p{number}", asked, "redteam" if number % 2 else "benign")
        said = "I am sorry, I cannot help.", f"Sure. Take {thing}, then tell nobody."
        yield Comparison(f"c{number}", prompt, *said, Origin("pairs", "by hand"))


def _calls(file: Path) -> set[tuple[str, bytes]]:
    with closing(sqlite3.connect(file)) as db:
        return set(db.execute("SELECT key, answer FROM calls"))
