"""The server over real sockets: states, limits, keys, faults of upstream, and an orderly end."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from charter.guard.config import REFUSAL, GuardSettings, Limits
from charter.records import Message

ASK = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
STREAM = {**ASK, "stream": True}
SAFE = "The kettle is on, and the bread is nearly done by now. " * 2


def post(guarded: Any, body: Any, path: str = "/v1/chat/completions", **more: Any) -> Any:
    with httpx.Client(trust_env=False, timeout=20) as client:
        return client.post(guarded.root + path, json=body, **more)


def content(stream: str) -> str:
    """The text of a streamed completion."""
    chunks = [line[6:] for line in stream.splitlines() if line.startswith("data: {")]
    choices = [choice for chunk in chunks for choice in json.loads(chunk).get("choices", ())]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


class Failing:
    """A classifier that breaks, or sleeps, at its `at`-th window; -1 is the conversation."""

    identity = "failing"

    def __init__(self, at: int, sleep: float = 0.0) -> None:
        self.at, self.sleep = at, sleep

    def start(self, conversation: Sequence[Message]) -> Any:
        if self.at < 0:
            self._fail()
        return SimpleNamespace(conversation_score=0.0, clauses=(), feed=self._feeder())

    def _feeder(self) -> Any:
        left = self.at

        def feed(text: str) -> float:
            nonlocal left
            left -= 1
            if left == -1:
                self._fail()
            return 0.0

        return feed

    def _fail(self) -> None:
        if not self.sleep:
            raise RuntimeError("secret text of a user")
        time.sleep(self.sleep)


def safe_stub(stub: Any, wire: SimpleNamespace, text: str = SAFE) -> Any:
    pieces = [text[i : i + 9] for i in range(0, len(text), 9)]

    def script(path: str, data: dict[str, Any]) -> Any:
        if data.get("stream"):
            return wire.http([*wire.openai_stream(pieces), wire.done])
        return wire.http_json(wire.openai_whole(text))

    return stub(script)


@pytest.mark.parametrize("at", [-1, 0, 2])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("on_error", ["closed", "open"])
def test_a_failing_classifier(
    stub: Any, guard: Any, wire: SimpleNamespace, on_error: Any, streamed: bool, at: int
) -> None:
    endpoint = safe_stub(stub, wire)
    served = guard(endpoint.url, GuardSettings(on_error=on_error), Failing(at))
    answer = post(served, STREAM if streamed else ASK)
    record = served.records()[0]
    assert (record.state, record.reason) == (f"failed_{on_error}", "RuntimeError")
    if on_error == "open":
        text = content(answer.text) if streamed else json.loads(answer.text)["choices"][0]
        assert (text if streamed else text["message"]["content"]) == SAFE
        assert record.unchecked_run == (len(SAFE) if at < 1 or not streamed else len(SAFE) - 64)
        return
    assert record.unchecked_run == 0
    assert "secret" not in answer.text
    if streamed and at == 2:  # what was checked has left; the rest has not, and the client knows
        assert SAFE.startswith(content(answer.text)) and len(content(answer.text)) <= 64
        assert '"code":"guard_failed"' in answer.text and "[DONE]" not in answer.text
    else:
        # The opening event of a stream has no text and may have left before the first window.
        assert answer.status_code == (200 if streamed and at == 0 else 503)
        assert "kettle" not in answer.text and "guard_failed" in answer.text


@pytest.mark.parametrize("on_error", ["closed", "open"])
def test_a_classifier_that_hangs_counts_as_failed(
    stub: Any, guard: Any, wire: SimpleNamespace, on_error: Any
) -> None:
    set_ = GuardSettings(on_error=on_error, limits=Limits(score_seconds=0.1))
    served = guard(safe_stub(stub, wire).url, set_, Failing(1, sleep=0.5))
    answer = post(served, STREAM)
    record = served.records()[0]
    assert (record.state, record.reason) == (f"failed_{on_error}", "timeout")
    assert content(answer.text) == (SAFE if on_error == "open" else content(answer.text)[:32])


def test_a_score_that_is_no_number_is_a_failure_and_no_pass(
    stub: Any, guard: Any, wire: SimpleNamespace
) -> None:
    nan = SimpleNamespace(
        identity="nan",
        start=lambda messages: SimpleNamespace(conversation_score=float("nan"), clauses=()),
    )
    served = guard(safe_stub(stub, wire).url, None, nan)
    assert post(served, ASK).status_code == 503
    assert served.records()[0].state == "failed_closed"


@pytest.mark.parametrize("streamed", [False, True])
def test_shadow_mode_records_the_verdict_and_lets_the_answer_through(
    stub: Any, guard: Any, wire: SimpleNamespace, streamed: bool
) -> None:
    bad = f"{SAFE}{wire.word}{SAFE}"
    served = guard(safe_stub(stub, wire, bad).url, GuardSettings(mode="shadow"))
    answer = post(served, STREAM if streamed else ASK)
    assert (
        content(answer.text) if streamed else answer.json()["choices"][0]["message"]["content"]
    ) == bad
    record = served.records()[0]
    assert (record.state, record.mode, record.action) == ("scanned", "shadow", "block")
    assert record.clauses == (wire.clause,)


def test_one_blocked_choice_leaves_the_others_as_they_are(
    stub: Any, guard: Any, wire: SimpleNamespace
) -> None:
    served = guard(stub(lambda p, d: wire.http_json(wire.openai_whole("fine", wire.word))).url)
    answer = post(served, {**ASK, "n": 2})
    first, second = answer.json()["choices"]
    assert (first["message"]["content"], first["finish_reason"]) == ("fine", "stop")
    assert (second["message"]["content"], second["finish_reason"]) == (REFUSAL, "content_filter")
    assert answer.headers["x-charter-clause"] == wire.clause


def test_the_key_is_checked_and_never_goes_on(stub: Any, guard: Any, wire: SimpleNamespace) -> None:
    endpoint = safe_stub(stub, wire)
    served = guard(endpoint.url, key="guard-key")
    for headers in ({}, {"authorization": "Bearer wrong"}, {"x-api-key": ""}):
        refused = post(served, ASK, headers=headers)
        assert (refused.status_code, refused.json()["error"]["type"]) == (
            401,
            "authentication_error",
        )
    assert endpoint.requests == []
    assert post(served, ASK, headers={"x-api-key": "guard-key"}).status_code == 200
    keys = {"x-charter-key": "guard-key", "authorization": "Bearer upstream-key"}
    assert post(served, ASK, headers=keys).status_code == 200
    first, second = (headers for _, headers, _ in endpoint.requests)
    assert "guard-key" not in str([first, second])
    assert "authorization" not in first
    assert second["authorization"] == "Bearer upstream-key"
    log = (served.folder / "audit.jsonl").read_text()
    assert "key" not in log and len(served.records(2)) == 2


def test_text_is_hashed_unless_asked_otherwise(
    stub: Any, guard: Any, wire: SimpleNamespace
) -> None:
    url = safe_stub(stub, wire).url
    hashed, told = guard(url), guard(url, GuardSettings(log_text=True))
    for served in (hashed, told):
        post(served, ASK)
    assert hashed.records()[0].answers[0].text is None
    assert "kettle" not in (hashed.folder / "audit.jsonl").read_text()
    assert told.records()[0].answers[0].text == SAFE
    assert told.records()[0].answers[0].sha256 == hashed.records()[0].answers[0].sha256


def test_requests_that_are_too_large(stub: Any, guard: Any, wire: SimpleNamespace) -> None:
    served = guard(safe_stub(stub, wire).url, GuardSettings(limits=Limits(request_bytes=500)))
    long = {**ASK, "messages": [{"role": "user", "content": "x" * 600}]}
    assert post(served, long).status_code == 413
    with httpx.Client(trust_env=False) as client:  # without a stated length
        body = json.dumps(long).encode()
        chunked = client.post(f"{served.url}/messages", content=iter([body[:300], body[300:]]))
    assert (chunked.status_code, chunked.json()["error"]["type"]) == (413, "request_too_large")
    assert post(served, ASK).status_code == 200


def test_a_full_queue_says_when_to_come_again(stub: Any, guard: Any, wire: SimpleNamespace) -> None:
    slow = stub(lambda path, data: [0.5, *wire.http_json(wire.openai_whole("late"))])
    served = guard(slow.url, GuardSettings(limits=Limits(active=1, waiting=1)))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: post(served, ASK), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["retry-after"] == "1"
    states = sorted((r.state, r.outcome) for r in served.records(4))
    assert states == [("scanned", "ok")] * 2 + [("skipped", "queue_full")] * 2
    assert post(served, ASK).status_code == 200  # places were given back


def test_what_cannot_be_read_is_not_called_scanned(
    stub: Any, guard: Any, wire: SimpleNamespace
) -> None:
    endpoint = safe_stub(stub, wire)
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    asked = {**ASK, "messages": [{"role": "user", "content": [image]}]}
    closed, open_ = guard(endpoint.url), guard(endpoint.url, GuardSettings(on_error="open"))
    assert post(closed, asked).status_code == 400
    assert closed.records()[0].state == "failed_closed"
    assert post(open_, asked).status_code == 200
    assert open_.records()[0].state == "failed_open"


def test_health_metrics_and_unknown_paths(stub: Any, guard: Any, wire: SimpleNamespace) -> None:
    served = guard(safe_stub(stub, wire).url)
    post(served, STREAM)
    post(served, {**ASK, "messages": [{"role": "user", "content": wire.word}]})
    served.records(2)
    with httpx.Client(trust_env=False, base_url=served.root) as client:
        health = client.get("/healthz")
        assert (health.status_code, health.json()["status"]) == (200, "ok")
        page = client.get("/metrics").text
        for line in (
            'charter_guard_exchanges_total{dialect="openai",state="scanned"} 1.0',
            'charter_guard_exchanges_total{dialect="openai",state="blocked"} 1.0',
            'charter_guard_verdicts_total{action="block",stage="prompt"} 1.0',
            f'charter_guard_blocked_clauses_total{{clause="{wire.clause}"}} 1.0',
            "charter_guard_longest_unchecked_run_chars 0.0",
            "charter_guard_active 0.0",
        ):
            assert line in page
        assert client.get("/v1/other").status_code == 404
        assert client.get("/v1/chat/completions").status_code == 405
        assert client.get("/openapi.json").json()["openapi"] == "3.1.0"


def test_an_audit_log_that_cannot_be_written_closes_the_guard(
    stub: Any, guard: Any, wire: SimpleNamespace
) -> None:
    served = guard(safe_stub(stub, wire).url)
    audit = served.proxy.parts.audit
    stream, audit._stream = audit._stream, open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    assert post(served, ASK).status_code == 200  # it had left when the log failed
    assert post(served, ASK).status_code == 503
    assert httpx.get(f"{served.root}/healthz", trust_env=False).status_code == 503
    audit._stream.close()
    audit._stream = stream
    post(served, ASK)  # turned away; but its record could be written
    assert post(served, ASK).status_code == 200


# Upstream's faults.

FAULTS: dict[str, tuple[Any, int, str]] = {
    "500": (lambda w: w.http_json(b'{"error":{"message":"BOMB"}}', 500), 502, "upstream_error"),
    "429": (lambda w: w.http_json(b'{"error":{"message":"slow"}}', 429), 429, "upstream_refused"),
    "302": (lambda w: w.http_json(b"{}", 302), 502, "upstream_error"),
    "no answer": (lambda w: [], 502, "upstream_closed"),
    "no http": (lambda w: [b"SMTP ready\r\n\r\n"], 502, "upstream_closed"),
    "no json": (lambda w: w.http([b"data: {nope\n\n"]), 502, "upstream_malformed"),
    "no object": (lambda w: w.http([b"data: [1]\n\n"]), 502, "upstream_malformed"),
    "no utf-8": (lambda w: w.http([b'data: {"x":"\xff"}\n\n']), 502, "upstream_malformed"),
    "odd choices": (lambda w: w.http([b'data: {"choices":[7]}\n\n']), 502, "upstream_malformed"),
    "deep": (lambda w: w.http([b"data: " + b"[" * 99999 + b"\n\n"]), 502, "upstream_malformed"),
    "endless line": (lambda w: w.http([b"data: " + b"x" * 2_000_000]), 502, "upstream_malformed"),
    "empty": (lambda w: w.http([]), 502, "upstream_closed"),
    "slow head": (lambda w: [1.0], 504, "upstream_timeout"),
    "error event": (
        lambda w: w.http([b'data: {"error":{"message":"BOMB"}}\n\n']),
        502,
        "upstream_error",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_upstream_faults_become_errors(
    stub: Any, guard: Any, wire: SimpleNamespace, name: str
) -> None:
    make, status, kind = FAULTS[name]
    served = guard(
        stub(lambda path, data: make(wire)).url, GuardSettings(limits=Limits(idle_seconds=0.4))
    )
    answer = post(served, STREAM)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, kind)
    assert "BOMB" not in answer.text
    assert (served.records()[0].state, served.records()[0].outcome) == ("scanned", kind)


def test_an_error_text_of_upstream_is_checked_too(
    stub: Any, guard: Any, wire: SimpleNamespace
) -> None:
    said = json.dumps({"error": {"message": f"you said {wire.word}"}}).encode()
    served = guard(stub(lambda path, data: wire.http_json(said, 400)).url)
    answer = post(served, ASK)
    assert answer.status_code == 400 and wire.word not in answer.text


def test_an_upstream_that_is_not_there(guard: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        served = guard(f"http://127.0.0.1:{unused.getsockname()[1]}/v1")
        assert post(served, ASK).json()["error"]["code"] == "upstream_unreachable"


def test_silence_in_the_middle_of_a_stream_ends_it(
    stub: Any, guard: Any, wire: SimpleNamespace
) -> None:
    frames = wire.openai_stream([SAFE, "unfinished"])[:3]
    served = guard(
        stub(lambda path, data: wire.http([*frames, 3.0])).url,
        GuardSettings(limits=Limits(idle_seconds=0.3)),
    )
    answer = post(served, STREAM)
    assert content(answer.text) == ""  # its event ends within a window that never filled
    assert '"code":"upstream_timeout"' in answer.text and "[DONE]" not in answer.text


def test_a_drip_does_not_hold_a_stream_open_for_ever(
    stub: Any, guard: Any, wire: SimpleNamespace
) -> None:
    served = guard(
        stub(lambda path, data: wire.http([b": still here\n\n", 0.1] * 40)).url,
        GuardSettings(limits=Limits(answer_seconds=0.5)),
    )
    started = time.monotonic()
    assert post(served, STREAM).status_code == 504
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("streamed", [False, True])
def test_a_connection_that_breaks_at_any_point(
    stub: Any, guard: Any, wire: SimpleNamespace, streamed: bool
) -> None:
    text = "a b c d e f g h " * 6
    pieces = [text[i : i + 16] for i in range(0, len(text), 16)]
    frames = wire.openai_stream(pieces)
    whole = wire.http([*frames, wire.done]) if streamed else wire.http_json(wire.openai_whole(text))
    blob = b"".join(whole)
    cuts = iter(range(0, len(blob), 37))
    served = guard(stub(lambda path, data: [blob[: next(cuts)]]).url)
    count = len(range(0, len(blob), 37))
    for _ in range(count):
        answer = post(served, STREAM if streamed else ASK)
        if not streamed:
            assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_closed")
            continue
        said = content(answer.text)
        assert text.startswith(said)
        if "[DONE]" in answer.text:
            assert said == text
        else:
            assert len(said) % 32 == 0 or said == text
            assert '"code":"upstream_closed"' in answer.text or said == text
    records = served.records(count)
    assert {r.unchecked_run for r in records} == {0}


def test_a_client_that_goes_away_frees_its_place_and_upstream(
    stub: Any, guard: Any, wire: SimpleNamespace
) -> None:
    frames = wire.openai_stream([SAFE[:32]] * 400)
    steps = [step for frame in frames for step in (frame, 0.02)]
    endpoint = stub(lambda path, data: wire.http(steps))
    served = guard(endpoint.url, GuardSettings(limits=Limits(active=1, waiting=0)))
    with (
        httpx.Client(trust_env=False) as client,
        client.stream("POST", f"{served.url}/chat/completions", json=STREAM) as answer,
    ):
        next(answer.iter_bytes())
    record = served.records()[0]
    assert (record.state, record.outcome) == ("scanned", "client_gone")
    deadline = time.monotonic() + 5
    while not endpoint.broken_off and time.monotonic() < deadline:
        time.sleep(0.01)
    assert endpoint.broken_off == 1
    assert served.proxy.admission.active == 0


def test_a_shutdown_finishes_the_streams_under_way(
    stub: Any, guard: Any, wire: SimpleNamespace
) -> None:
    frames = [*wire.openai_stream([SAFE[:32]] * 20), wire.done]
    steps = [step for frame in frames for step in (frame, 0.03)]
    served = guard(stub(lambda path, data: wire.http(steps)).url)
    with (
        httpx.Client(trust_env=False) as client,
        client.stream("POST", f"{served.url}/chat/completions", json=STREAM) as answer,
    ):
        received = answer.iter_text()
        text = next(received)
        served.server.should_exit = True
        text += "".join(received)
    assert content(text) == SAFE[:32] * 20 and text.endswith("data: [DONE]\n\n")
    with pytest.raises(httpx.TransportError):
        post(served, ASK)


def test_many_streams_at_once_lose_nothing(stub: Any, guard: Any, wire: SimpleNamespace) -> None:
    frames = [*wire.openai_stream([SAFE[:32]] * 5), wire.done]
    steps = [step for frame in frames for step in (frame, 0.02)]
    served = guard(stub(lambda path, data: wire.http(steps)).url)
    with ThreadPoolExecutor(24) as pool:
        texts = list(pool.map(lambda _: content(post(served, STREAM).text), range(48)))
    assert texts == [SAFE[:32] * 5] * 48
    assert {r.state for r in served.records(48)} == {"scanned"}


# Requests that nobody meant.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)
FIELDS = st.sampled_from(["messages", "model", "stream", "n", "system", "tools", "modalities"])
PARTS = st.sampled_from(["role", "content", "type", "text", "tool_calls", "source", "user"])
MESSAGES = st.lists(
    st.dictionaries(PARTS, JSON | st.lists(st.dictionaries(PARTS, JSON, max_size=3), max_size=2)),
    max_size=3,
)
BODIES = st.one_of(
    JSON.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(FIELDS, JSON | MESSAGES).map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=40),
)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_fuzzed_requests_are_answered_and_leave_the_server_standing(
    stub: Any, guard: Any, wire: SimpleNamespace, data: st.DataObject
) -> None:
    if not _FUZZED.get(id(guard)):
        _FUZZED.clear()
        served = guard(safe_stub(stub, wire).url)
        _FUZZED[id(guard)] = served, httpx.Client(trust_env=False, base_url=served.root)
    served, client = _FUZZED[id(guard)]
    path = data.draw(st.sampled_from(["/v1/chat/completions", "/v1/messages"]))
    answer = client.post(path, content=data.draw(BODIES))
    assert answer.status_code < 600 and answer.status_code not in (500, 503)
    assert client.get("/healthz").json()["active"] == 0


_FUZZED: dict[int, Any] = {}


@pytest.fixture(autouse=True)
def _close_fuzzing_client() -> Any:
    yield
    for _, client in _FUZZED.values():
        client.close()
    _FUZZED.clear()


def test_a_request_cut_off_half_way_leaves_the_server_standing(
    stub: Any, guard: Any, wire: SimpleNamespace
) -> None:
    served = guard(safe_stub(stub, wire).url)
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n"
    for end in (10, len(head), len(head) + 5):
        with socket.create_connection(("127.0.0.1", served.port)) as raw:
            raw.sendall((head + b'{"messages":')[:end])
    assert post(served, ASK).status_code == 200
    assert served.proxy.admission.active == 0


def test_threads_of_a_stopped_server_are_gone(stub: Any, guard: Any, wire: SimpleNamespace) -> None:
    served = guard(safe_stub(stub, wire).url, None, Failing(99))
    post(served, ASK)
    served.server.should_exit = True
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if not [t for t in threading.enumerate() if t.name.startswith("scoring")]:
            return
        time.sleep(0.02)
    raise AssertionError("a scoring thread is still there")
