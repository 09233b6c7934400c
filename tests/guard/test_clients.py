"""The real clients of both dialects, on loopback, against a guard before a scripted endpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import anthropic
import openai
import pytest

from charter.guard.config import REFUSAL

SAFE = "Zwölf 🥖 in the oven, and the tea is warm. " * 3
USER = [{"role": "user", "content": "How do I bake bread?"}]


def both(wire: SimpleNamespace, text: str) -> Callable[[str, dict[str, Any]], Any]:
    """An endpoint that says `text` in both dialects, five characters at a time."""
    pieces = [text[i : i + 5] for i in range(0, len(text), 5)]

    def script(path: str, data: dict[str, Any]) -> Any:
        if path == "/v1/models":
            return wire.http_json(b'{"object":"list","data":[{"id":"m","object":"model"}]}')
        if path == "/v1/chat/completions":
            if data.get("stream"):
                return wire.http([*wire.openai_stream(pieces), wire.done])
            return wire.http_json(wire.openai_whole(text))
        if data.get("stream"):
            return wire.http(wire.anthropic_stream(pieces))
        return wire.http_json(json.dumps(wire.anthropic_message(text)).encode())

    return script


def by_openai(url: str, streamed: bool, messages: Any = USER) -> tuple[str, str, Any, Any]:
    """Text, finish reason, the notice and the header, as the client has them."""
    with openai.OpenAI(base_url=url, api_key="sk-upstream", max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(
            model="m", messages=messages, stream=streamed
        )
        answer, clause = raw.parse(), raw.headers.get("x-charter-clause")
        if not streamed:
            choice = answer.choices[0]
            notice = (answer.model_extra or {}).get("charter")
            return choice.message.content, choice.finish_reason, notice, clause
        text, finish, notice = "", "", None
        for chunk in answer:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                finish = choice.finish_reason or finish
            notice = (chunk.model_extra or {}).get("charter", notice)
        return text, finish, notice, clause


def by_anthropic(url: str, streamed: bool, messages: Any = USER) -> tuple[str, str, Any, Any]:
    root = url.removesuffix("/v1")
    asked = {"model": "m", "max_tokens": 64, "messages": messages}
    with anthropic.Anthropic(base_url=root, api_key="sk-upstream", max_retries=0) as client:
        if not streamed:
            raw = client.messages.with_raw_response.create(**asked)
            message, clause = raw.parse(), raw.headers.get("x-charter-clause")
        else:
            with client.messages.stream(**asked) as stream:
                notices = [
                    event.model_extra["charter"]
                    for event in stream
                    if getattr(event, "model_extra", None) and "charter" in event.model_extra
                ]
                message = stream.get_final_message()
                clause = stream.response.headers.get("x-charter-clause")
            text = "".join(block.text for block in message.content)
            return text, message.stop_reason, (notices or [None])[-1], clause
    text = "".join(block.text for block in message.content)
    return text, message.stop_reason, (message.model_extra or {}).get("charter"), clause


CLIENTS = {
    "openai": (by_openai, "stop", "content_filter"),
    "anthropic": (by_anthropic, "end_turn", "refusal"),
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("dialect", CLIENTS)
def test_a_harmless_answer_arrives_whole(
    stub: Any, guard: Any, wire: SimpleNamespace, dialect: str, streamed: bool
) -> None:
    ask, done, _ = CLIENTS[dialect]
    served = guard(stub(both(wire, SAFE)).url)
    assert ask(served.url, streamed) == (SAFE, done, None, None)
    record = served.records()[0]
    assert (record.state, record.outcome) == ("scanned", "ok")
    assert (record.dialect, record.streamed) == (dialect, streamed)
    assert record.answers[0].chars == len(SAFE)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("dialect", CLIENTS)
def test_a_harmful_prompt_is_refused_before_upstream_sees_it(
    stub: Any, guard: Any, wire: SimpleNamespace, dialect: str, streamed: bool
) -> None:
    ask, _, blocked = CLIENTS[dialect]
    endpoint = stub(both(wire, SAFE))
    served = guard(endpoint.url)
    messages = [{"role": "user", "content": f"Tell me about {wire.word}"}]
    text, finish, notice, clause = ask(served.url, streamed, messages)
    assert (text, finish, clause) == (REFUSAL, blocked, wire.clause)
    assert (notice["stage"], notice["clauses"]) == ("prompt", [wire.clause])
    assert endpoint.requests == []
    record = served.records()[0]
    assert (record.state, record.action, record.stage) == ("blocked", "block", "prompt")
    assert notice["request"] == record.request


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("dialect", CLIENTS)
def test_a_harmful_answer_is_cut_off(
    stub: Any, guard: Any, wire: SimpleNamespace, dialect: str, streamed: bool
) -> None:
    ask, _, blocked = CLIENTS[dialect]
    answer = f"{SAFE[:70]}{wire.word} {SAFE}"
    served = guard(stub(both(wire, answer)).url)
    text, finish, notice, clause = ask(served.url, streamed)
    # Two windows of 32 characters passed; the third holds the word.
    assert text == (f"{answer[:64]}\n\n{REFUSAL}" if streamed else REFUSAL)
    assert finish == blocked
    assert (notice["stage"], notice["clauses"]) == ("answer", [wire.clause])
    assert clause == (None if streamed else wire.clause)
    assert served.records()[0].state == "blocked"
    assert served.records()[0].unchecked_run == 0


@pytest.mark.parametrize("dialect", CLIENTS)
def test_a_blocked_turn_does_not_poison_the_next_one(
    stub: Any, guard: Any, wire: SimpleNamespace, dialect: str
) -> None:
    endpoint = stub(both(wire, SAFE))
    served = guard(endpoint.url)
    messages = [
        {"role": "user", "content": f"Tell me about {wire.word}"},
        {"role": "assistant", "content": REFUSAL},
        {"role": "user", "content": "Then about bread."},
    ]
    assert CLIENTS[dialect][0](served.url, False, messages)[0] == SAFE
    record = served.records()[0]
    assert (record.state, record.withheld) == ("scanned", True)
    # Upstream does not see it either: else a forged refusal would hide a text from the guard.
    assert wire.word not in str(endpoint.requests)
    assert "Then about bread." in str(endpoint.requests)


def test_the_list_of_models_passes(stub: Any, guard: Any, wire: SimpleNamespace) -> None:
    served = guard(stub(both(wire, SAFE)).url)
    with openai.OpenAI(base_url=served.url, api_key="sk", max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["m"]


def test_the_clients_raise_their_own_errors(stub: Any, guard: Any, wire: SimpleNamespace) -> None:
    refusing = wire.http_json(b'{"error":{"message":"no such model","type":"x"}}', 404)
    served = guard(stub(lambda path, data: refusing).url)
    with pytest.raises(openai.NotFoundError, match="no such model"):
        by_openai(served.url, True)
    with pytest.raises(anthropic.NotFoundError, match="no such model"):
        by_anthropic(served.url, False)
    assert {r.outcome for r in served.records(2)} == {"upstream_refused"}
