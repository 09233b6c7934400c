"""What a request says to the model, in either dialect, as the messages a classifier reads.

Owns: flattening content, counting what cannot be read, taking blocked turns out of a history.
Knows no scores.

A blocked turn stays in the client's history: the user's text and our refusal after it. Scored
again, it would block the rest of the conversation. So the turn is withheld, from the classifier
*and* from upstream. Both still see the same conversation; a client that forges a refusal only
takes words out of its own request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from charter.guard.faults import Fault
from charter.records import Message, Role

WITHHELD = "[This message was withheld by the guard.]"
ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    # What a tool says comes from outside, as the user's words do.
    "tool": "user",
    "function": "user",
}
_READABLE = frozenset(
    {"text", "input_text", "output_text", "refusal", "thinking", "tool_use", "server_tool_use"}
    | {"web_search_tool_result", "search_result", "mcp_tool_use", "mcp_tool_result"}
)
_OPAQUE = frozenset({"redacted_thinking", "encrypted_reasoning"})
_NAMES = frozenset({"type", "id", "tool_use_id", "cache_control", "signature", "encrypted_content"})
_SETTINGS = frozenset(
    {"model", "messages", "stream", "stream_options", "stop", "stop_sequences", "user", "metadata"}
    | {"system", "reasoning_effort", "service_tier", "tool_choice", "function_call", "modalities"}
    | {"verbosity", "cache_control", "prompt_cache_key", "safety_identifier", "thinking", "n"}
    | {"inference_geo", "speed", "prompt_cache_retention", "container", "betas"}
)
"""Fields of a request that a model does not read as text; all others are read for texts."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Conversation:
    """The messages of a request; `unreadable` counts images, sounds and files in it."""

    messages: tuple[Message, ...]
    unreadable: int


def read(body: Mapping[str, Any], system: Any = None) -> Conversation:
    """The conversation of a request body.

    Args:
        body: with `messages` as both dialects have them.
        system: content that stands before the messages (Anthropic).

    Raises:
        Fault: the messages are not what they should be.
    """
    found: list[Message] = []
    unreadable = _media(body)
    for role, content in [*_opening(body, system), *map(_turn, _messages(body))]:
        text, count = flatten(content)
        unreadable += count
        if text or role != "system":
            found.append(Message(role, text))
    return Conversation(tuple(found), unreadable)


def flatten(content: Any) -> tuple[str, int]:
    """The text of some content, and how many parts of it cannot be read.

    Parts are joined with nothing between them, as a word may be split over two.
    """
    if content is None or isinstance(content, str):
        return content or "", 0
    if not isinstance(content, list):
        raise Fault("invalid_request", "content must be a string or a list of parts")
    pairs = [_part(part) for part in content]
    return "".join(text for text, _ in pairs), sum(count for _, count in pairs)


def leaves(value: Any) -> Iterator[str]:
    """Every string inside a value but ids and types."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in _NAMES:
                yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)


def without_blocked_turns(body: Mapping[str, Any], refusal: str) -> dict[str, Any] | None:
    """The request with every turn that was blocked before withheld; `None` if there is none."""
    messages = list(_messages(body))
    ends = [i for i, message in enumerate(messages) if _is_refusal(message, refusal)]
    if not ends:
        return None
    for end in ends:
        messages[end] = {"role": "assistant", "content": refusal}
        for place in range(end - 1, -1, -1):
            if messages[place].get("role") in ("assistant", "system", "developer"):
                break
            messages[place] = _withhold(messages[place])
    return {**body, "messages": messages}


def number(body: Mapping[str, Any], name: str, default: T, fine: Callable[[Any], bool]) -> T:
    """A number of a request, or the default; a wrong one is the client's mistake."""
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not fine(value):
        raise Fault("invalid_request", f"{name!r} is out of range")
    return value  # type: ignore[return-value]


def _messages(body: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Fault("invalid_request", "'messages' must be a list of at least one message")
    if not all(isinstance(m, dict) and isinstance(m.get("role"), str) for m in messages):
        raise Fault("invalid_request", "each message must be an object with a role")
    return messages


def _opening(body: Mapping[str, Any], system: Any) -> Iterator[tuple[Role, Any]]:
    """What stands before the messages: the system text, tools and schemas, which models read."""
    yield "system", system
    extra = [
        text for name, value in body.items() if name not in _SETTINGS for text in leaves(value)
    ]
    yield "system", "\n".join(extra)


def _turn(message: Mapping[str, Any]) -> tuple[Role, Any]:
    role = ROLES.get(message["role"])
    if role is None:
        raise Fault("invalid_request", "a message has an unknown role")
    extra = [
        {"type": "text", "text": text}
        for name in sorted(message.keys() - {"role", "content", "tool_call_id", "audio"})
        for text in leaves(message[name])
    ]
    content = message.get("content")
    if not extra:
        return role, content
    text, count = flatten(content)
    lost = [{"type": "unreadable"}] * count
    return role, [{"type": "text", "text": text}, *lost, *extra]


def _part(part: Any) -> tuple[str, int]:
    if isinstance(part, str):
        return part, 0
    if not isinstance(part, dict):
        raise Fault("invalid_request", "a part of a message must be an object")
    kind = part.get("type")
    if not isinstance(kind, str):
        return "", 1
    if kind in _OPAQUE:
        return "", 0
    if kind == "tool_result":
        return flatten(part.get("content"))
    if kind == "document":
        return _document(part)
    return ("".join(leaves(part)), 0) if kind in _READABLE else ("", 1)


def _document(part: Mapping[str, Any]) -> tuple[str, int]:
    source = part.get("source")
    kind = source.get("type") if isinstance(source, dict) else None
    return ("\n".join(leaves(part)), 0) if kind in ("text", "content") else ("", 1)


def _media(body: Mapping[str, Any]) -> int:
    """An answer in sound cannot be read either."""
    wanted = body.get("modalities")
    return int(isinstance(wanted, list) and any(kind != "text" for kind in wanted))


def _is_refusal(message: Mapping[str, Any], refusal: str) -> bool:
    if message.get("role") != "assistant":
        return False
    return flatten(message.get("content"))[0].rstrip().endswith(refusal.rstrip())


def _withhold(message: Mapping[str, Any]) -> dict[str, Any]:
    """The message with its words taken out; its form is kept, so that tool calls still match."""
    kept = {k: v for k, v in message.items() if k in ("role", "tool_call_id")}
    content = message.get("content")
    results = [
        {**part, "content": WITHHELD}
        for part in (content if isinstance(content, list) else ())
        if isinstance(part, dict) and part.get("type") == "tool_result"
    ]
    return {**kept, "content": results or WITHHELD}
