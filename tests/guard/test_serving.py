"""The command `charter guard serve`, as a process of its own, and its bad usage."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from charter.cli.guard import group
from charter.errors import InputError
from charter.guard.config import GuardSettings
from charter.guard.decision import Thresholds


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "words.json").write_text(json.dumps({"words": {"BOMBWORD": "no-weapons"}}))
    (tmp_path / "guard.json").write_text('{"kind": "words"}')
    return tmp_path


def test_it_serves_and_ends_on_a_signal(folder: Path, stub: Any, wire: SimpleNamespace) -> None:
    endpoint = stub(lambda path, data: wire.http_json(wire.openai_whole("fine")))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "charter.cli.main", "guard", "serve", "--guard", str(folder)]
    command += ["--upstream", endpoint.url, "--port", str(port), "--audit", str(folder / "log")]
    env = {**os.environ, "CHARTER_GUARD_KEY": "k", "CHARTER_UPSTREAM_KEY": "up"}
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            answer = ask(f"http://127.0.0.1:{port}", process)
        finally:
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=20)
    assert answer.json()["choices"][0]["message"]["content"] == "fine"
    assert endpoint.requests[0][1]["authorization"] == "Bearer up"
    assert (process.returncode, err) == (0, b"")
    assert f"http://127.0.0.1:{port}/v1".encode() in out
    assert len((folder / "log" / "audit.jsonl").read_bytes().splitlines()) == 1


_NO_TORCH = """
import sys
from charter.cli.guard import _proxy, serve
context = serve.make_context("serve", ["--guard", sys.argv[1], "--upstream", "http://x/v1"])
_proxy({**context.params, "audit": sys.argv[1] + "/log"}).app()
print([m for m in ("torch", "transformers", "scipy", "sklearn") if m in sys.modules])
"""


def test_a_guard_of_words_starts_without_torch(folder: Path) -> None:
    command = [sys.executable, "-c", _NO_TORCH, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def ask(root: str, process: subprocess.Popen[bytes]) -> httpx.Response:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
    deadline = time.monotonic() + 30
    with httpx.Client(trust_env=False, timeout=10) as client:
        while True:
            try:
                headers = {"authorization": "Bearer k"}
                return client.post(f"{root}/v1/chat/completions", json=body, headers=headers)
            except httpx.ConnectError:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "either --upstream URL or --model NAME"),
        (["--upstream", "http://x/v1", "--model", "embedded"], "either --upstream"),
        (["--upstream", "http://x/v2"], "'http://x/v2' cannot be used"),
        (["--upstream", "ftp://x/v1"], "'ftp://x/v1' cannot be used"),
        (["--upstream", "http://x/v1", "--refusal", " "], "field 'refusal'"),
    ],
)
def test_bad_usage_says_what_was_expected(folder: Path, options: list[str], message: str) -> None:
    result = CliRunner().invoke(group, ["serve", "--guard", str(folder), *options])
    assert result.exit_code != 0
    assert message in result.output + str(result.exception)
    assert isinstance(result.exception, InputError | SystemExit)


@pytest.mark.parametrize(
    "settings",
    [
        GuardSettings(window=0),
        GuardSettings(refusal=""),
        GuardSettings(thresholds=Thresholds(prompt=1.5)),
        GuardSettings(thresholds=Thresholds(escalate=float("nan"))),
    ],
)
def test_settings_out_of_range_are_the_users_mistake(settings: GuardSettings) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        settings.check()
