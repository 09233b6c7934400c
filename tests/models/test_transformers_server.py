"""Text from a server that others wrote: transformers' own, on loopback, with a tiny model."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from charter.errors import ModelError
from charter.judging.labeling import label
from charter.judging.votes import VotesJudge
from charter.models.endpoint import EndpointConfig, address
from charter.models.openai import OpenAIModel
from charter.records import Abstention, Comparison, Message, Origin, Prompt, Request, Sampling

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("fastapi") is None,
        reason="transformers' server needs fastapi, which is not installed",
    ),
]
_START_S = 180


def ask(text: str, tokens: int) -> Request:
    return Request((Message("user", text),), Sampling(max_tokens=tokens, temperature=0.0), 0)


@pytest.fixture(scope="module")
def url(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server's address, once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    where = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    entry = "from transformers.cli.transformers import main; main()"
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [sys.executable, "-c", entry, "serve", str(tiny_model_folder), *where],
            env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(f"http://127.0.0.1:{port}/health", server, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(30)


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.3)
    raise AssertionError(log.read_text()[-2000:])


@pytest.fixture
def model(url: str, tiny_model_folder: Path) -> Iterator[OpenAIModel]:
    config = EndpointConfig(concurrency=2, retries=1, timeout_s=120)
    opened = OpenAIModel(address(f"openai:{tiny_model_folder}@{url}"), config)
    yield opened
    opened.close()


def test_it_gives_text_of_the_length_asked_for(model: OpenAIModel) -> None:
    short, long, again = model.generate(
        [ask("Tell me a story.", 4), ask("Tell me a story.", 12), ask("Say something kind.", 4)]
    )
    assert not any(made.failure for made in (short, long, again))
    assert (short.tokens, long.tokens) == (4, 12)
    assert (short.finish, long.finish) == ("length", "length")
    assert long.text.startswith(short.text)


def test_it_has_no_logprobs_and_we_say_so(model: OpenAIModel) -> None:
    with pytest.raises(ModelError, match="judge `votes`"):
        model.choice_logprobs([Message("user", "A or B?")], [""], ["A", "B"])


def test_a_votes_judge_asks_it_and_takes_no_noise_for_a_verdict(model: OpenAIModel) -> None:
    """A random network names no letter: off the menu, where a failed call has another reason."""
    prompt = Prompt("p", (Message("user", "Tell me a story."),))
    pair = Comparison("c", prompt, "A good story.", "No.", Origin("pairs", "test"))
    sampling = Sampling(max_tokens=6)
    judge = VotesJudge(model, {"kind": "Which one is kinder?"}, samples=2, sampling=sampling)
    [found] = label(judge, [pair], [[("kind", 1.0)]])
    assert isinstance(found, Abstention)
    assert (found.reason, found.detail) == ("off_menu", "2 of 2 samples name no answer")
