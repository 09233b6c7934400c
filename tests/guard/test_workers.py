"""Several server processes behind one port: one log, one set of figures, and workers that die."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from charter.cli.main import cli
from charter.errors import WorkError

ASKED = 24
SCRIPT = """
import sys
from functools import partial
from pathlib import Path
from charter.errors import InputError
from charter.guard import workers
from charter.guard.audit import AuditLog
from charter.guard.config import GuardSettings
from charter.guard.proxy import Proxy
from charter.guard.upstream import HttpUpstream
from charter.guard.words import WordsClassifier

def build(folder):
    if not folder:
        raise InputError("holds no guard")
    settings = GuardSettings()
    upstream = HttpUpstream("http://127.0.0.1:9/v1", settings.limits)
    return Proxy(WordsClassifier({"x": "y"}), settings, upstream, AuditLog(Path(folder)))

if __name__ == "__main__":
    folder, port = sys.argv[1:]
    ready = partial(print, flush=True)
    workers.serve(
        partial(build, folder), "127.0.0.1", int(port), workers=2, announce=ready
    )
"""
"""The same server without the command, which takes longer to start."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "words.json").write_text(json.dumps({"words": {"BOMBWORD": "no-weapons"}}))
    (tmp_path / "guard.json").write_text('{"kind": "words"}')
    return tmp_path


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def arguments(folder: Path, port: int, upstream: str) -> list[str]:
    return [
        *("guard", "serve", "--workers", "2", "--guard", str(folder), "--upstream", upstream),
        *("--port", str(port), "--audit", str(folder / "log"), "--drain", "5"),
    ]


@contextmanager
def running(folder: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    (folder / "tmp").mkdir()
    env = {**os.environ, "TMPDIR": str(folder / "tmp")}
    process = subprocess.Popen(
        [sys.executable, *command], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def workers(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(process.pid).children():
        with suppress(psutil.Error):  # it may end while it is looked at
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


def within(seconds: float, true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ask(root: str, text: str) -> str:
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    with httpx.Client(trust_env=False, timeout=30) as client:  # a connection of its own
        answer = client.post(f"{root}/v1/chat/completions", json=body).json()
    return str(answer["choices"][0]["finish_reason"])


def ask_many(root: str) -> Counter[str]:
    texts = ["BOMBWORD" if i % 3 == 0 else "Hello" for i in range(ASKED)]
    with ThreadPoolExecutor(8) as pool:
        return Counter(pool.map(lambda text: ask(root, text), texts))


def counting(folder: Path) -> set[str]:
    """The processes that have counted something."""
    return {file.stem for file in (folder / "tmp").glob("charter-guard-*/counter_*.db")}


def figures(root: str) -> dict[str, float]:
    """Totals of each sample over its labels."""
    page = httpx.get(f"{root}/metrics", trust_env=False, timeout=30).text
    totals: Counter[str] = Counter()
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            totals[sample.name] += sample.value
    return dict(totals)


def test_two_workers_keep_one_log_and_one_count_and_one_may_die(
    folder: Path, port: int, stub: Any, wire: SimpleNamespace
) -> None:
    endpoint = stub(lambda path, data: wire.http_json(wire.openai_whole("fine")))
    root, log = f"http://127.0.0.1:{port}", folder / "log" / "audit.jsonl"
    command = ("-m", "charter.cli.main", *arguments(folder, port, endpoint.url))
    with running(folder, *command) as process:
        assert process.stdout is not None
        assert b"2 workers" in process.stdout.readline()
        expected = {"content_filter": ASKED // 3, "stop": ASKED - ASKED // 3}
        assert ask_many(root) == expected
        within(60, lambda: len(log.read_bytes().splitlines()) == ASKED)
        for _ in range(4):  # whichever worker is asked
            now = figures(root)
            assert now["charter_guard_exchanges_total"] == ASKED
            assert now["charter_guard_blocked_clauses_total"] == ASKED // 3
            assert now["charter_guard_active"] == 0
        assert len(counting(folder)) == 2, "one worker did all the work"

        victim = workers(process)[0]
        victim.kill()
        psutil.wait_procs([victim], timeout=30)  # and the other one serves meanwhile
        assert ask_many(root) == expected
        within(60, lambda: figures(root)["charter_guard_exchanges_total"] == 2 * ASKED)

        within(240, lambda: len(counting(folder)) == 3 and len(workers(process)) == 2)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    lines = [json.loads(line) for line in log.read_bytes().splitlines()]
    assert process.returncode == 0
    assert len({line["request"] for line in lines}) == len(lines) == 2 * ASKED
    assert b"a worker ended (exit code -9); the next one starts in 1 s" in err
    assert b"Traceback" not in err
    assert list((folder / "tmp").iterdir()) == []


def test_workers_end_when_their_parent_is_killed(folder: Path, port: int) -> None:
    (folder / "serve.py").write_text(SCRIPT)
    command = (str(folder / "serve.py"), str(folder / "log"), str(port))
    with running(folder, *command) as process:
        assert process.stdout is not None
        process.stdout.readline()
        orphans = workers(process)
        assert len(orphans) == 2
        process.kill()
        _, alive = psutil.wait_procs(orphans, timeout=30)
    assert alive == []


def test_a_guard_that_cannot_be_made_is_told_once_and_none_is_left(folder: Path, port: int) -> None:
    (folder / "serve.py").write_text(SCRIPT)
    with running(folder, str(folder / "serve.py"), "", str(port)) as process:
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, b"")
    assert err.splitlines()[-1] == b"charter.errors.InputError: holds no guard"
    assert err.count(b"Traceback") == 1, "a worker told of it as well"


def test_a_port_that_is_taken_is_not_shared_with_a_stranger(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as stranger:
        taken = stranger.getsockname()[1]
        with pytest.raises(WorkError, match=f"cannot listen on 127.0.0.1:{taken}"):
            cli(arguments(folder, taken, "http://127.0.0.1:9/v1"), standalone_mode=False)
