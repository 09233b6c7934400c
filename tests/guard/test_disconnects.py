"""Either side goes away at any byte, or upstream talks nonsense: no leak, no crash, no hang.

The application is driven in this process, without sockets, so that every point can be tried.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from charter.guard.audit import AuditLog, AuditRecord
from charter.guard.config import REFUSAL, GuardSettings, Limits
from charter.guard.faults import Fault
from charter.guard.proxy import Proxy
from charter.guard.sse import FrameCutter
from charter.guard.translation import BothDialects
from charter.guard.upstream import Headers
from charter.guard.words import WordsClassifier

WINDOW = 8
LIMITS = Limits(idle_seconds=0.2, answer_seconds=0.4)
SAFE = "Zwölf 🥖 in the oven, and the tea."
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
EXCHANGES = [(dialect, streamed) for dialect in PATHS for streamed in (True, False)]
both_dialects = pytest.mark.parametrize(("dialect", "streamed"), EXCHANGES)


class Upstream:
    """Says some chunks, then ends as `end` does. `replies` counts those that are open."""

    def __init__(self) -> None:
        self.chunks: Sequence[bytes] = ()
        self.end: Callable[[], Awaitable[None]] = finished
        self.kind = ""
        self.open = 0

    async def ask(self, dialect: str, path: str, body: bytes, headers: Headers) -> Reply:
        self.open += 1
        return Reply(self)

    async def models(self, headers: Headers) -> Reply:
        raise AssertionError("nobody asks for models here")

    async def close(self) -> None:
        pass


class Reply:
    status = 200

    def __init__(self, upstream: Upstream) -> None:
        self.upstream, self.left = upstream, True
        self.headers: Mapping[str, str] = {"content-type": upstream.kind}

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in self.upstream.chunks:
            await asyncio.sleep(0)
            yield chunk
        await self.upstream.end()

    async def close(self) -> None:
        self.upstream.open -= self.left
        self.left = False


async def finished() -> None:
    """The body ends properly, whether or not the answer has."""


async def broken() -> None:
    raise Fault("upstream_closed", "upstream broke the connection off")


async def silent() -> None:
    await asyncio.sleep(60)


@dataclass
class Client:
    """One request to the application, by a client that may go away.

    Attributes:
        body: of the request, as far as the client sends it.
        leaves: after so many pieces of the answer; at once, if 0; never, if it is not given.
        notices: whether the server fails to write, or is told (ASGI 2.4, and before).
    """

    body: bytes
    whole: bool = True
    leaves: int | None = None
    notices: bool = False
    status: int = 0
    got: bytes = b""
    pieces: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    sent: bool = False

    async def run(self, app: Any, path: str) -> Client:
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": [],
            "query_string": b"",
            "asgi": {"version": "3.0", "spec_version": "2.4" if self.notices else "2.3"},
        }
        if self.leaves == 0:
            self.gone.set()
        async with asyncio.timeout(10):  # far above any limit: it would have hung
            await app(scope, self._receive, self._send)
        return self

    async def _receive(self) -> dict[str, Any]:
        if not self.sent:
            self.sent = True
            return {"type": "http.request", "body": self.body, "more_body": not self.whole}
        if self.whole:
            await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if self.gone.is_set():
            if self.notices:
                raise OSError("the client is gone")
            return
        self.status = message.get("status", self.status)
        self.got += message.get("body", b"")
        self.pieces += bool(message.get("body"))
        if self.leaves is not None and self.pieces >= self.leaves:
            self.gone.set()


@dataclass
class Line:
    """A guard between an upstream and its clients."""

    proxy: Proxy
    upstream: Upstream
    app: Any
    folder: Path

    def idle(self) -> bool:
        return self.proxy.admission.active == 0 and self.upstream.open == 0

    def records(self) -> list[AuditRecord]:
        lines = (self.folder / "audit.jsonl").read_bytes().splitlines()
        return [msgspec.json.decode(line, type=AuditRecord) for line in lines]


@contextmanager
def guarded(folder: Path, wire: SimpleNamespace, *, translate: bool = False) -> Iterator[Line]:
    upstream, audit = Upstream(), AuditLog(folder)
    guard = GuardSettings(window=WINDOW, limits=LIMITS)
    classifier = WordsClassifier({wire.word: wire.clause})
    proxy = Proxy(classifier, guard, BothDialects(upstream, translate=translate), audit)
    try:
        yield Line(proxy, upstream, proxy.app(), folder)
    finally:
        proxy.parts.scorer.close()
        audit.close()


@pytest.fixture
def line(tmp_path: Path, wire: SimpleNamespace) -> Iterator[Line]:
    with guarded(tmp_path / "audit", wire) as line:
        yield line


@pytest.fixture
def translating(tmp_path: Path, wire: SimpleNamespace) -> Iterator[Line]:
    with guarded(tmp_path / "translating", wire, translate=True) as line:
        yield line


def request(streamed: bool) -> bytes:
    asked = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9}
    return json.dumps({"model": "m", "stream": streamed, **asked}).encode()


def answer(wire: SimpleNamespace, dialect: str, streamed: bool, text: str) -> list[bytes]:
    """Upstream's answer in its frames."""
    pieces = [text[i : i + 18] for i in range(0, len(text), 18)]
    if dialect == "openai":
        whole = [wire.openai_whole(text)]
        return [*wire.openai_stream(pieces), wire.done] if streamed else whole
    whole = [json.dumps(wire.anthropic_message(text)).encode()]
    return wire.anthropic_stream(pieces) if streamed else whole


def read(got: bytes, streamed: bool) -> tuple[str, bool]:
    """The text that a client has, and whether it takes the answer for complete."""
    if not streamed:
        data = json.loads(got)
        if "error" in data:
            return "", False
        said = data.get("content") or [{"text": c["message"]["content"]} for c in data["choices"]]
        return "".join(part["text"] for part in said), True
    text, ended = "", False
    for payload in FrameCutter(1 << 20).push(got):
        data = {"type": "message_stop"} if payload == b"[DONE]" else json.loads(payload)
        ended |= data.get("type") == "message_stop"
        for choice in data.get("choices", ()):
            text += choice["delta"].get("content") or ""
        if data.get("type") == "content_block_delta":
            text += data["delta"].get("text", "")
    return text, ended


def checked(text: str, word: str) -> str:
    """What may leave of an answer: the windows before the one that holds the word's end."""
    end = text.find(word)
    return text if end < 0 else text[: (end + len(word) - 1) // WINDOW * WINDOW]


@pytest.mark.parametrize(("end", "step"), [(finished, 1), (broken, 7)])
@both_dialects
def test_upstream_goes_away_at_every_byte(
    line: Line, wire: SimpleNamespace, dialect: str, streamed: bool, end: Any, step: int
) -> None:
    text = f"{SAFE[:12]} {wire.word} and more of it"
    blob, line.upstream.end = b"".join(answer(wire, dialect, streamed, text)), end
    cuts = [*range(0, len(blob), step), len(blob)]

    async def every() -> None:
        for cut in cuts:
            line.upstream.chunks = [blob[:cut]]
            client = await Client(request(streamed)).run(line.app, PATHS[dialect])
            assert wire.word.encode() not in client.got
            said, complete = read(client.got, streamed)
            passed = said.split(REFUSAL)[0].removesuffix("\n\n")
            assert checked(text, wire.word).startswith(passed)
            assert passed == "" or streamed  # a whole answer leaves whole, or not at all
            assert complete == (REFUSAL in said)
            assert client.status in (200, 502) and line.idle()

    asyncio.run(every())
    records = line.records()
    assert len(records) == len(cuts)
    assert {record.unchecked_run for record in records} == {0}
    assert {record.outcome for record in records} <= {"ok", "upstream_closed", "upstream_malformed"}
    assert (records[-1].state == "blocked") == (streamed or end is finished)


@pytest.mark.parametrize("dialect", PATHS)
def test_a_harmless_stream_is_complete_only_when_all_of_it_came(
    line: Line, wire: SimpleNamespace, dialect: str
) -> None:
    blob = b"".join(answer(wire, dialect, True, SAFE))
    line.upstream.end = broken

    async def every() -> None:
        for cut in range(0, len(blob) + 1, 3):
            line.upstream.chunks = [blob[:cut]]
            client = await Client(request(True)).run(line.app, PATHS[dialect])
            said, complete = read(client.got, True)
            assert SAFE.startswith(said) and complete == (cut == len(blob))
            assert complete or b"upstream broke" in client.got
        line.upstream.chunks = [blob]
        assert (await Client(request(True)).run(line.app, PATHS[dialect])).got == blob

    asyncio.run(every())


@pytest.mark.parametrize("notices", [False, True])
@pytest.mark.parametrize("dialect", PATHS)
def test_a_client_goes_away_after_every_piece_of_a_stream(
    line: Line, wire: SimpleNamespace, dialect: str, notices: bool
) -> None:
    # Upstream stays silent before the end, so nothing but the client's going can end the stream.
    frames = answer(wire, dialect, True, SAFE * 4)
    line.upstream.chunks, line.upstream.end = frames[:-3], silent

    async def every() -> bytes:
        whole = await Client(request(True)).run(line.app, PATHS[dialect])  # until its time is up
        for leaves in range(1, whole.pieces):
            client = Client(request(True), leaves=leaves, notices=notices)
            await client.run(line.app, PATHS[dialect])
            assert whole.got.startswith(client.got) and client.pieces == leaves
            assert line.idle()
        return whole.got

    got = asyncio.run(every())
    assert b"in time" in got and read(got, True)[0] in SAFE * 4
    outcomes = [record.outcome for record in line.records()]
    assert outcomes[0] == "upstream_timeout" and len(outcomes) >= 4
    assert {record.unchecked_run for record in line.records()} == {0}


@pytest.mark.parametrize("dialect", PATHS)
def test_a_client_goes_away_at_every_byte_of_its_request(
    line: Line, wire: SimpleNamespace, dialect: str
) -> None:
    body = request(True)

    async def every() -> None:
        for cut in range(len(body)):
            client = await Client(body[:cut], whole=False).run(line.app, PATHS[dialect])
            assert (client.got, client.status) == (b"", 499) and line.idle()
        line.upstream.chunks = answer(wire, dialect, True, SAFE)
        client = await Client(body).run(line.app, PATHS[dialect])
        assert read(client.got, True) == (SAFE, True)

    asyncio.run(every())
    assert len(line.records()) == 1  # what was never asked is no exchange


@both_dialects
def test_a_client_that_goes_before_the_first_byte_holds_nothing_for_long(
    line: Line, dialect: str, streamed: bool
) -> None:
    line.upstream.end = silent
    asyncio.run(Client(request(streamed), leaves=0).run(line.app, PATHS[dialect]))
    assert line.idle() and line.records()[0].outcome == "upstream_timeout"


BAD = "see BOMBWORD now"
ODDITIES: dict[str, tuple[str, bool, dict[str, Any]]] = {
    "a choice twice in one chunk": (
        "openai",
        True,
        {"choices": [{"index": 0, "delta": {"content": t}} for t in (SAFE, BAD)]},
    ),
    "a message in a stream": ("openai", True, {"choices": [{"index": 0, "message": BAD}]}),
    "a delta in a whole answer": (
        "openai",
        False,
        {"choices": [{"index": 0, "message": {"content": SAFE}, "delta": {"content": BAD}}]},
    ),
    "a delta in a whole message": ("anthropic", False, {"content": [], "delta": {"text": BAD}}),
    "a block beside a delta": (
        "anthropic",
        True,
        {"type": "content_block_delta", "index": 0, "delta": {}, "content_block": {"text": BAD}},
    ),
    "two texts in a delta": (
        "anthropic",
        True,
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": SAFE, "thinking": BAD},
        },
    ),
    "a type that is no text": (
        "anthropic",
        True,
        {"type": "content_block_delta", "index": 0, "delta": {"type": {}, "text": SAFE + BAD}},
    ),
}


@pytest.mark.parametrize("name", ODDITIES)
def test_text_in_odd_places_is_checked_or_left_out(
    line: Line, wire: SimpleNamespace, name: str
) -> None:
    dialect, streamed, event = ODDITIES[name]
    said = json.dumps(event).encode()
    line.upstream.chunks = [b"data: %s\n\n" % said if streamed else said]
    client = asyncio.run(Client(request(streamed)).run(line.app, PATHS[dialect]))
    assert wire.word.encode() not in client.got and b"guard failed" not in client.got
    assert client.status in (200, 502)


WRITTEN = ("content", "text", "arguments", "partial_json", "input")
META = ("usage", "id", "model", "type", "index", "finish_reason", "stop_reason", "logprobs")
"""What a server says of an answer passes; and log-probabilities have a test of their own."""
NAMES = st.sampled_from(
    [
        "choices",
        "index",
        "delta",
        "message",
        "content",
        "text",
        "type",
        "tool_calls",
        "function",
        "finish_reason",
        "logprobs",
        "usage",
        "error",
        "content_block",
        "id",
        "arguments",
        "name",
        "completion_tokens",
        "model",
        "stop_reason",
        "partial_json",
        "input",
    ]
)
KINDS = st.sampled_from(
    [
        "content_block_start",
        "content_block_delta",
        "text_delta",
        "message_start",
        "text",
        "message_delta",
        "message_stop",
        "input_json_delta",
        "tool_use",
        "stop",
    ]
)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(allow_nan=False) | KINDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)
CALLS = st.lists(st.fixed_dictionaries({"index": ODD, "function": ODD}), max_size=2)
SAID = st.fixed_dictionaries({}, optional={"content": ODD, "tool_calls": CALLS | ODD})
CHOICE = st.fixed_dictionaries(
    {"index": st.integers(0, 1) | ODD, "delta": SAID | ODD, "message": SAID | ODD},
    optional={"finish_reason": ODD, "logprobs": ODD},
)
USAGE = st.fixed_dictionaries({"completion_tokens": ODD, "prompt_tokens": ODD})
CHUNK = st.fixed_dictionaries({"choices": st.lists(CHOICE, max_size=2), "usage": USAGE | ODD})
BLOCK = st.fixed_dictionaries(
    {"type": KINDS, "index": st.integers(0, 1) | ODD, "delta": SAID | ODD, "content_block": ODD},
    optional={"message": ODD, "content": ODD, "usage": USAGE | ODD},
)
EVENT = st.one_of(CHUNK, BLOCK, ODD)


@pytest.mark.parametrize(("dialect", "streamed"), [*EXCHANGES, ("", True), ("", False)])
@settings(
    max_examples=50,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes here
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(events=st.lists(EVENT, min_size=1, max_size=4), noise=st.binary(max_size=12))
def test_an_upstream_that_talks_nonsense(
    line: Line,
    translating: Line,
    wire: SimpleNamespace,
    dialect: str,
    streamed: bool,
    events: list[Any],
    noise: bytes,
) -> None:
    to = line if dialect else translating  # messages made from chat completions
    said = [json.dumps(with_word(event, wire.word)).encode() for event in events]
    framed = [b"data: %s\n\n" % one for one in said]
    to.upstream.chunks = [*framed, noise] if streamed else said[:1]
    to.upstream.kind = "text/event-stream" if streamed else "application/json"
    client = asyncio.run(Client(request(streamed)).run(to.app, PATHS[dialect or "anthropic"]))
    assert client.status in (200, 502) and to.idle()
    assert b"the guard failed" not in client.got and wire.word.encode() not in client.got


def with_word(value: Any, word: str) -> Any:
    """The same, with the blocked word wherever a model may write."""
    if isinstance(value, list):
        return [with_word(inner, word) for inner in value]
    if not isinstance(value, dict):
        return value
    return {
        k: v if k in META else word if k in WRITTEN and isinstance(v, str) else with_word(v, word)
        for k, v in value.items()
    }
