"""Messages requests for upstreams that only speak chat completions, and for a model in-process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import anthropic
import httpx
import openai
import pytest

from charter.guard.config import REFUSAL
from charter.guard.local_upstream import LocalUpstream
from charter.guard.translated_reply import as_message
from charter.guard.translation import BothDialects, as_chat
from charter.records import Completion, Request

ASK = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}
CALL = {
    "id": "t1",
    "type": "function",
    "function": {"name": "look_up", "arguments": '{"q": "rye"}'},
}


def chat_only(wire: SimpleNamespace, text: str) -> Any:
    """An endpoint without `/messages`, which says something and calls a tool."""

    def script(path: str, data: dict[str, Any]) -> Any:
        if path != "/v1/chat/completions":
            return wire.http_json(b'{"detail":"Not Found"}', 404)
        if not data.get("stream"):
            body = json.loads(wire.openai_whole(text))
            body["choices"][0]["message"]["tool_calls"] = [CALL]
            body["choices"][0]["finish_reason"] = "tool_calls"
            return wire.http_json(json.dumps(body).encode())
        first = {**CALL, "index": 0, "function": {"name": "look_up", "arguments": ""}}
        halves = [{"index": 0, "function": {"arguments": a}} for a in ('{"q": ', '"rye"}')]
        deltas = [{"tool_calls": [call]} for call in (first, *halves)]
        frames = [*wire.openai_stream([text])[:-1], *(wire.openai_chunk(d) for d in deltas)]
        return wire.http([*frames, wire.openai_chunk({}, "tool_calls"), wire.done])

    return script


@pytest.mark.parametrize("streamed", [False, True])
def test_an_anthropic_client_can_use_an_openai_upstream(
    stub: Any, guard: Any, wire: SimpleNamespace, streamed: bool
) -> None:
    text = "Rye, says the 🥖 book. " * 3
    endpoint = stub(chat_only(wire, text))
    served = guard(endpoint.url)
    with anthropic.Anthropic(base_url=served.root, api_key="sk-a", max_retries=0) as client:
        for _ in range(2):
            if streamed:
                with client.messages.stream(**ASK) as stream:
                    message = stream.get_final_message()
            else:
                message = client.messages.create(**ASK)
            said, used = message.content
            assert (said.text, message.stop_reason) == (text, "tool_use")
            assert (used.id, used.name, used.input) == ("t1", "look_up", {"q": "rye"})
    # Asked natively once; then it is known which way to go. The key is where upstream looks.
    assert [path for path, _, _ in endpoint.requests].count("/v1/messages") == 1
    assert endpoint.requests[-1][1]["authorization"] == "Bearer sk-a"


def test_a_translated_answer_is_checked(stub: Any, guard: Any, wire: SimpleNamespace) -> None:
    served = guard(stub(chat_only(wire, f"{'x' * 40}{wire.word}")).url)
    with (
        anthropic.Anthropic(base_url=served.root, api_key="sk", max_retries=0) as client,
        client.messages.stream(**ASK) as stream,
    ):
        message = stream.get_final_message()
    assert message.stop_reason == "refusal"
    assert message.content[-1].text.strip() == REFUSAL
    assert wire.word not in str(message)


def test_requests_are_translated_in_full() -> None:
    chat = as_chat(
        {
            **ASK,
            "system": [{"type": "text", "text": "Be kind."}],
            "stop_sequences": ["END"],
            "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "tool", "name": "f"},
            "messages": [
                {"role": "user", "content": "q"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "text", "text": "wait"},
                        {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}},
                    ],
                },
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "1", "content": "r"}],
                },
            ],
        }
    )
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    assert chat["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "wait", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "r"},
    ]
    assert (chat["stop"], chat["max_tokens"]) == (["END"], 50)
    assert chat["tools"][0]["function"]["parameters"] == {"type": "object"}
    assert chat["tool_choice"] == {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("finish", "stop"),
    [("stop", "end_turn"), ("length", "max_tokens"), ("content_filter", "refusal")],
)
def test_stop_reasons_are_translated(finish: str, stop: str) -> None:
    choice = {"index": 0, "message": {"content": "x"}, "finish_reason": finish}
    assert as_message({"choices": [choice]})["stop_reason"] == stop


class Echo:
    """A model that says back what it was told, or fails."""

    identity = "echo@1"

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        if "fail" in requests[0].messages[-1].content:
            raise MemoryError
        return [Completion(f"You said: {r.messages[-1].content}", 3, "stop") for r in requests]


def test_a_model_in_this_process_is_served_in_both_dialects(
    guard: Any, wire: SimpleNamespace
) -> None:
    served = guard(BothDialects(LocalUpstream(Echo(), "echo"), translate=True))
    with anthropic.Anthropic(base_url=served.root, api_key="x", max_retries=0) as client:
        assert client.messages.create(**ASK).content[0].text == "You said: Hello"
    with openai.OpenAI(base_url=served.url, api_key="x", max_retries=0) as client:
        asked = {"model": "echo", "messages": ASK["messages"]}
        answer = client.chat.completions.create(**asked, n=2)
        assert [c.message.content for c in answer.choices] == ["You said: Hello"] * 2
        chunks = list(client.chat.completions.create(**asked, stream=True))
        text = "".join(c.choices[0].delta.content or "" for c in chunks)
        assert (text, chunks[-1].choices[0].finish_reason) == ("You said: Hello", "stop")
        assert [m.id for m in client.models.list()] == ["echo"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"messages": [{"role": "user", "content": "fail"}]}, 502),
        ({"temperature": -1}, 400),
        ({"max_tokens": 0}, 400),
        ({"n": 1.5}, 400),
    ],
)
def test_a_model_that_fails_or_is_asked_nonsense(guard: Any, change: Any, status: int) -> None:
    served = guard(LocalUpstream(Echo(), "echo"))
    with httpx.Client(trust_env=False) as client:
        answer = client.post(f"{served.url}/chat/completions", json={**ASK, **change})
    assert answer.status_code == status
