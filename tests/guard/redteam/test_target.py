"""The target over HTTP: blocks, stages, failures, what an endpoint says of itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from charter.cache import CallCache
from charter.errors import InputError, ModelError
from charter.guard.redteam.target import Answered, Found, HttpTarget, discover
from charter.models.endpoint import EndpointConfig
from charter.records import Message, Sampling

FAST = EndpointConfig(retries=1, backoff_s=0.01, timeout_s=10)


def ask(url: str, *texts: str, cache: CallCache | None = None) -> list[Answered]:
    target = HttpTarget(url, Found("m", ""), FAST, cache)
    try:
        return target.ask([(Message("user", t),) for t in texts], Sampling(), 0)
    finally:
        target.close()


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    yield


def test_blocks_of_a_guard_come_with_their_stage(
    stub: Any, guard: Any, wire: SimpleNamespace
) -> None:
    def script(path: str, data: dict[str, Any]) -> Any:
        said = "It is a " + wire.word if "answer" in str(data["messages"]) else "fine"
        return wire.http_json(wire.openai_whole(said))

    served = guard(stub(script).url)
    plain, prompt, answer = ask(served.url, "hello", f"a {wire.word}", "bad answer")
    assert plain == Answered("fine")
    assert (prompt.blocked, prompt.stage) == (True, "prompt")
    assert (answer.blocked, answer.stage) == (True, "answer")


def test_a_filter_that_answers_with_an_error_has_blocked_the_prompt(
    stub: Any, wire: SimpleNamespace
) -> None:
    error = b'{"error":{"code":"content_filter","message":"filtered","type":"x"}}'
    found = ask(stub(lambda path, data: wire.http_json(error, 400)).url, "hello")
    assert found == [Answered("", blocked=True, stage="prompt")]


def test_failures_are_retried_then_said_and_not_kept(
    stub: Any, wire: SimpleNamespace, tmp_path: Path
) -> None:
    endpoint = stub(lambda path, data: wire.http_json(b'{"error":{"message":"x"}}', 500))
    cache = CallCache(tmp_path / "calls.sqlite")
    assert ask(endpoint.url, "hello", cache=cache) == [Answered("", failure="server_error")]
    assert len(endpoint.requests) == 2
    ask(endpoint.url, "hello", cache=cache)
    assert len(endpoint.requests) == 4
    cache.close()


def test_an_answer_is_paid_for_once(stub: Any, wire: SimpleNamespace, tmp_path: Path) -> None:
    endpoint = stub(lambda path, data: wire.http_json(wire.openai_whole("fine")))
    cache = CallCache(tmp_path / "calls.sqlite")
    first = ask(endpoint.url, "hello", cache=cache)
    assert ask(endpoint.url, "hello", cache=cache) == first and len(endpoint.requests) == 1
    cache.close()


def test_what_an_endpoint_says_of_itself(stub: Any, guard: Any, wire: SimpleNamespace) -> None:
    listed = json.dumps({"object": "list", "data": [{"id": "m9", "object": "model"}]}).encode()
    served = guard(stub(lambda path, data: wire.http_json(listed)).url)
    found = discover(served.url, None)
    assert found.model == "m9" and found.guard.startswith("words@")
    assert discover(served.url, "other").model == "other"


@pytest.mark.parametrize("url", ["http://x/v2", "ftp://x/v1", "x/v1", "http://me:pw@x/v1"])
def test_urls_that_cannot_be_used(url: str) -> None:
    with pytest.raises(InputError) as caught:
        discover(url, "m")
    assert "pw" not in str(caught.value)


def test_nobody_there_is_a_failure_of_the_work() -> None:
    with pytest.raises(ModelError, match="lists no models"):
        discover("http://127.0.0.1:9/v1", None)
