from __future__ import annotations

from typing import Any

import pytest

from charter.guard.config import REFUSAL
from charter.guard.conversation import WITHHELD, read, without_blocked_turns
from charter.guard.faults import Fault
from charter.records import Message


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def test_roles_and_parts_become_messages() -> None:
    body = {
        "messages": [
            {"role": "developer", "content": "Be kind."},
            user([{"type": "text", "text": "BOMB"}, {"type": "text", "text": "WORD"}]),
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            },
            {"role": "tool", "tool_call_id": "1", "content": "result"},
        ]
    }
    assert read(body).messages == (
        Message("system", "Be kind."),
        Message("user", "BOMBWORD"),
        Message("assistant", "f{}"),
        Message("user", "result"),
    )


def test_anthropic_blocks_become_text() -> None:
    blocks = [
        {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "found"}]},
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "page"},
        },
        {"type": "text", "text": "?", "cache_control": {"type": "ephemeral"}},
    ]
    found = read({"messages": [user(blocks)]}, [{"type": "text", "text": "sys"}])
    assert found.messages[0] == Message("system", "sys")
    assert all(word in found.messages[1].content for word in ("found", "page", "?"))
    assert found.unreadable == 0


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "x"}},
        {"type": "input_audio", "input_audio": {"data": "x"}},
        {"type": "image", "source": {"type": "base64", "data": "x"}},
        {"type": "document", "source": {"type": "base64", "data": "x"}},
        {"type": "something_new", "text": "x"},
        {"type": "tool_result", "content": [{"type": "image", "source": {}}]},
    ],
)
def test_what_cannot_be_read_is_counted(part: dict[str, Any]) -> None:
    assert read({"messages": [user([part])]}).unreadable == 1


def test_sound_as_an_answer_cannot_be_read() -> None:
    assert read({"messages": [user("x")], "modalities": ["text", "audio"]}).unreadable == 1


def test_texts_outside_the_messages_are_read_too() -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "first BOMBWORD"}}]
    found = read({"messages": [user("x")], "tools": tools, "model": "m", "user": "someone"})
    assert "BOMBWORD" in found.messages[0].content
    assert "someone" not in str(found)


@pytest.mark.parametrize(
    "messages",
    [None, [], "x", [1], [{"content": "x"}], [user(3)], [user([3])], [{"role": "judge"}]],
)
def test_what_is_no_conversation_is_the_clients_mistake(messages: Any) -> None:
    with pytest.raises(Fault) as caught:
        read({"messages": messages})
    assert caught.value.status == 400


def test_a_blocked_turn_is_withheld_with_all_that_led_to_it() -> None:
    body = {
        "messages": [
            {"role": "system", "content": "s"},
            user("good"),
            {"role": "assistant", "content": "fine"},
            user("bad 1"),
            user("bad 2"),
            {"role": "assistant", "content": f"It begins so\n\n{REFUSAL}\n"},
            user("good again"),
        ]
    }
    found = without_blocked_turns(body, REFUSAL)
    assert found is not None
    said = [message["content"] for message in found["messages"]]
    assert said == ["s", "good", "fine", WITHHELD, WITHHELD, REFUSAL, "good again"]
    assert body["messages"][3]["content"] == "bad 1"


def test_tool_results_keep_their_form_when_withheld() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": "bad"}
    body = {"messages": [user([result]), {"role": "assistant", "content": REFUSAL}, user("x")]}
    found = without_blocked_turns(body, REFUSAL)
    assert found is not None
    assert found["messages"][0]["content"] == [{**result, "content": WITHHELD}]


def test_a_conversation_without_refusals_is_left_alone() -> None:
    said = {"messages": [user(REFUSAL), {"role": "assistant", "content": "sure"}, user("x")]}
    assert without_blocked_turns(said, REFUSAL) is None
