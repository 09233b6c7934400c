"""No chunking changes the verdict or a byte, and nothing leaves before it was checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charter.guard.anthropic_dialect import AnthropicDialect
from charter.guard.checking import AnswerChecks, TextCheck
from charter.guard.config import REFUSAL
from charter.guard.decision import Decision, Thresholds
from charter.guard.dialect import Dialect, Refusal
from charter.guard.openai_dialect import OpenAIDialect
from charter.guard.sse import FrameCutter
from charter.guard.streaming import HoldBack

WINDOW, WORD = 8, "BOMBWORD"
REFUSED = f"\n\n{REFUSAL}"


class Spy:
    """Blocks on the word; knows every character it was ever fed."""

    conversation_score = 0.0
    clauses = ("c",)

    def __init__(self) -> None:
        self.fed = ""
        self.feeds: list[str] = []

    def feed(self, text: str) -> float:
        self.fed += text
        self.feeds.append(text)
        return float(WORD in self.fed)


class Line:
    """A client at the end of a hold-back: what it has read, and what the spies had seen by then."""

    def __init__(self, dialect: Dialect, *, enforce: bool = True, n: int = 1) -> None:
        self.dialect, self.body = dialect, {"model": "m", "n": n, "messages": []}
        self.spies: list[Spy] = []
        self.enforce = enforce
        self.checks = AnswerChecks(self._check)
        self.hold = HoldBack(dialect.writer(self.body, "r"), self.checks, self._refusal)
        self.sent = b""

    def _check(self) -> TextCheck:
        self.spies.append(Spy())
        return TextCheck(self.spies[-1], WINDOW, Thresholds(), enforce=self.enforce)

    def _refusal(self, decision: Decision) -> Refusal:
        return Refusal(REFUSAL, "answer", decision.clauses, "r")

    def run(self, pieces: Sequence[bytes]) -> Line:
        cutter = FrameCutter(1 << 20)
        for piece in pieces:
            for payload in cutter.push(piece):
                event = self.dialect.read(payload)
                self.sent += self.hold.release(event, self.checks.score([event])[0])
                self._nothing_is_ahead()
        return self

    def _nothing_is_ahead(self) -> None:
        seen = ["", *(spy.fed for spy in self.spies)]
        for text in self.texts().values():
            # Half of a pair may be with the client already: the whole of it was checked.
            read = text.split(REFUSAL)[0].removesuffix("\n\n").removesuffix("\ufffd")
            assert any(read in text for text in seen)

    def texts(self) -> dict[Any, str]:
        """Each text as a client re-assembles it."""
        found: dict[Any, str] = {}
        for payload in FrameCutter(1 << 20).push(self.sent):
            if payload == b"[DONE]":
                continue
            data = json.loads(payload)
            for choice in data.get("choices", ()):
                delta = choice["delta"]
                key = choice["index"]
                said = delta.get("content") or ""
                found[key] = found.get(key, "") + (said if isinstance(said, str) else "")
                for call in delta.get("tool_calls") or ():
                    key = (choice["index"], call["index"])
                    found[key] = found.get(key, "") + call["function"].get("arguments", "")
            if data.get("type") == "content_block_delta":
                delta = data["delta"]
                text = delta.get("text") or delta.get("partial_json") or ""
                found[0] = found.get(0, "") + text
        # The API speaks UTF-16 escapes: halves of a pair come together again.
        return {
            key: text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            for key, text in found.items()
        }


letters = st.characters(codec="utf-8")
TEXTS = st.lists(
    st.one_of(
        st.text(letters, max_size=20), st.sampled_from([WORD, "BOMB", "WORD", "🥖👩🏽‍🚀e\u0301"])
    ),
    max_size=8,
).map("".join)


def cut(value: Any, points: Sequence[int]) -> list[Any]:
    """A text or bytes cut at points, taken modulo its length."""
    places = sorted({0, *(p % (len(value) + 1) for p in points), len(value)})
    return [value[a:b] for a, b in pairwise(places)]


def expected(text: str) -> str:
    """What a client may read of a text: all of it, or the windows before the word's end."""
    end = text.find(WORD)
    if end < 0:
        return text
    kept = text[: (end + len(WORD) - 1) // WINDOW * WINDOW]
    return kept + (REFUSED if kept else REFUSAL)


STREAMS: dict[str, tuple[Dialect, str]] = {
    "openai": (OpenAIDialect(), "openai_stream"),
    "anthropic": (AnthropicDialect(), "anthropic_stream"),
}
POINTS = st.lists(st.integers(0, 4000), max_size=25)


@pytest.mark.parametrize("name", STREAMS)
@settings(max_examples=150, deadline=None)
@given(text=TEXTS, points=POINTS, bytes_at=POINTS)
def test_no_chunking_changes_the_verdict_or_a_byte(
    name: str, text: str, points: list[int], bytes_at: list[int], wire: SimpleNamespace
) -> None:
    dialect, make = STREAMS[name]
    frames = getattr(wire, make)(cut(text, points)) + ([wire.done] if name == "openai" else [])
    line = Line(dialect).run(cut(b"".join(frames), bytes_at))
    assert line.texts().get(0, "") == expected(text)
    assert bool(line.checks.blocked) == (WORD in text)
    assert line.hold.longest_unchecked == 0
    if WORD not in text:
        assert line.sent == b"".join(frames)  # to the byte, not only to the character


@settings(max_examples=100, deadline=None)
@given(text=TEXTS, points=POINTS)
def test_pairs_that_are_split_between_two_events_are_put_together(
    text: str, points: list[int], wire: SimpleNamespace
) -> None:
    """Some servers send one half of a UTF-16 pair as an escape and the other in the next event."""
    raw = text.encode("utf-16-le")
    units = ["".join(map(chr, raw[i : i + 2])) for i in range(0, len(raw), 2)]
    halves = "".join(chr(ord(u[0]) | ord(u[1]) << 8) for u in units)
    frames = wire.openai_stream(cut(halves, points))
    line = Line(OpenAIDialect()).run(frames)
    assert bool(line.checks.blocked) == (WORD in text)
    if WORD not in text:
        assert line.sent == b"".join(frames)
        assert line.texts()[0] == text
    else:
        assert line.texts()[0].split(REFUSAL)[0].removesuffix("\n\n") in text


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(TEXTS, min_size=2, max_size=3), points=POINTS, order=st.randoms())
def test_choices_do_not_disturb_each_other(
    texts: list[str], points: list[int], order: Any, wire: SimpleNamespace
) -> None:
    queues = [wire.openai_stream(cut(text, points), index=i) for i, text in enumerate(texts)]
    frames = []
    while any(queues):
        frames.append(order.choice([queue for queue in queues if queue]).pop(0))
    line = Line(OpenAIDialect(), n=len(texts)).run([*frames, wire.done])
    found = line.texts()
    assert [found[i] for i in range(len(texts))] == [expected(text) for text in texts]


@settings(max_examples=60, deadline=None)
@given(content=TEXTS, arguments=TEXTS, points=POINTS)
def test_the_arguments_of_a_tool_call_are_checked_like_any_text(
    content: str, arguments: str, points: list[int], wire: SimpleNamespace
) -> None:
    def call(**function: str) -> dict[str, Any]:
        return {"tool_calls": [{"index": 0, "function": function}]}

    frames = [
        *(wire.openai_chunk({"content": c}) for c in cut(content, points)),
        wire.openai_chunk(call(name="look_up", arguments="")),
        *(wire.openai_chunk(call(arguments=a)) for a in cut(arguments, points)),
        wire.openai_chunk({}, "tool_calls"),
        wire.done,
    ]
    line = Line(OpenAIDialect()).run(frames)
    bad = WORD in content or WORD in "look_up" + arguments
    assert bool(line.checks.blocked) == bad
    if not bad:
        assert line.sent == b"".join(frames)
    elif WORD not in content:
        assert line.texts()[0].startswith(content)
        assert WORD not in line.texts().get((0, 0), "")


def test_windows_are_fixed_and_the_end_is_scored(wire: SimpleNamespace) -> None:
    line = Line(OpenAIDialect()).run([*wire.openai_stream(["abc", "d" * 14, "e"]), wire.done])
    assert line.spies[0].feeds == ["abcddddd", "dddddddd", "de"]


@pytest.mark.parametrize("tail", ["abc", "abcdefghi"])
def test_an_answer_that_ends_without_a_finish_reason_is_scored_to_its_end(
    tail: str, wire: SimpleNamespace
) -> None:
    frames = [*wire.openai_stream(["BOM", tail])[:-1], wire.done]
    line = Line(OpenAIDialect()).run(frames)
    assert line.sent == b"".join(frames)
    assert "".join(line.spies[0].feeds) == f"BOM{tail}"


def test_what_is_not_a_window_yet_is_held_back(wire: SimpleNamespace) -> None:
    frames = wire.openai_stream(["1234567", "8", "9"])
    line = Line(OpenAIDialect()).run(frames[:2])
    assert line.texts()[0] == ""
    line.run(frames[2:3])
    assert line.texts()[0] == "12345678"
    line.run(frames[3:4])
    assert line.texts()[0] == "12345678"
    line.run(frames[4:])
    assert line.texts()[0] == "123456789"


def test_shadow_mode_lets_everything_through_and_remembers(wire: SimpleNamespace) -> None:
    frames = [*wire.openai_stream([f"a {WORD} b", "c" * 30]), wire.done]
    line = Line(OpenAIDialect(), enforce=False).run(frames)
    assert line.sent == b"".join(frames)
    top = line.checks.by_key[0, ("content",)].top
    assert top is not None and top.action == "block" and top.clauses == ("c",)


def test_a_guard_that_failed_open_counts_what_it_let_through(wire: SimpleNamespace) -> None:
    dialect = OpenAIDialect()
    line = Line(dialect).run(wire.openai_stream(["1234567"])[:2])
    line.hold.fail_open()
    event = dialect.read(FrameCutter(1 << 20).push(wire.openai_chunk({"content": "abc"}))[0])
    out = line.hold.release_unchecked(event)
    assert b"1234567" in out and b"abc" in out
    assert line.hold.longest_unchecked == 10


def test_a_text_after_a_block_never_leaves(wire: SimpleNamespace) -> None:
    frames = [*wire.openai_stream([WORD, "tail"]), wire.done]
    line = Line(OpenAIDialect()).run(frames)
    assert b"tail" not in line.sent and WORD.encode() not in line.sent
    assert line.sent.endswith(wire.done)


CHANNELS: dict[str, Callable[[str], dict[str, Any]]] = {
    "reasoning": lambda text: {"reasoning_content": text},
    "refusal": lambda text: {"refusal": text},
    "a part": lambda text: {"content": [{"type": "text", "text": text}]},
    "a field nobody knows": lambda text: {"musings": {"deep": [text]}},
    "an old function call": lambda text: {"function_call": {"arguments": text}},
}


@pytest.mark.parametrize("where", CHANNELS)
def test_text_is_checked_wherever_a_model_may_write_it(where: str, wire: SimpleNamespace) -> None:
    deltas = [CHANNELS[where](text) for text in ("so BOMB", "WORD it")]
    frames = [*(wire.openai_chunk(delta) for delta in deltas), wire.openai_chunk({}, "stop")]
    line = Line(OpenAIDialect()).run([*frames, wire.done])
    assert 0 in line.checks.blocked
    assert b"WORD" not in line.sent


def test_text_in_log_probabilities_is_checked(wire: SimpleNamespace) -> None:
    frames = []
    for token in ("BOMB", "WORD", " and then more of it"):
        logprobs = {"content": [{"token": token, "logprob": -0.5, "top_logprobs": []}]}
        choice = {"index": 0, "delta": {}, "logprobs": logprobs, "finish_reason": None}
        frames.append(b"data: " + json.dumps({"id": "x", "choices": [choice]}).encode() + b"\n\n")
    line = Line(OpenAIDialect()).run([*frames, wire.done])
    assert 0 in line.checks.blocked
    assert b"WORD" not in line.sent


def test_fields_that_nobody_checks_are_left_out() -> None:
    choice = {"index": 0, "delta": {"content": "x"}, "finish_reason": "stop", "echo": "hidden"}
    odd = {"id": "x", "choices": [choice], "note": "hidden", "count": 3}
    line = Line(OpenAIDialect()).run([b"data: " + json.dumps(odd).encode() + b"\n\n"])
    assert b"hidden" not in line.sent and b'"count":3' in line.sent


def test_messages_are_scored_in_spite_of_a_comment_in_the_stream(wire: SimpleNamespace) -> None:
    line = Line(OpenAIDialect()).run([b": BOMBWORD\n\nid: BOMBWORD\n", *wire.openai_stream(["hi"])])
    assert b"BOMBWORD" not in line.sent
    assert line.texts()[0] == "hi"
