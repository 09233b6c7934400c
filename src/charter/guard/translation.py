"""Messages requests for an upstream that only speaks chat completions.

Owns: turning a request of Anthropic's format into OpenAI's, and asking upstream the one way or the
other. The way back is `translated_reply`. Knows nothing of checking: what comes back is checked as
if upstream had said it in Anthropic's format.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from charter.guard.conversation import flatten
from charter.guard.dialect import decode, encode
from charter.guard.faults import Fault
from charter.guard.openai_dialect import OpenAIDialect
from charter.guard.translated_reply import TranslatedReply
from charter.guard.upstream import Headers, Reply, Upstream

_SAME = ("model", "max_tokens", "temperature", "top_p", "stream")
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_NO_SUCH_PATH = (404, 405)


class BothDialects:
    """An upstream for both dialects, made from one that may speak OpenAI's only.

    Args:
        inner: the upstream.
        translate: translate every messages request. Otherwise upstream is asked in the client's
            dialect first, and messages requests are translated once it has no such path.
    """

    def __init__(self, inner: Upstream, *, translate: bool = False) -> None:
        self.inner, self._translate = inner, translate

    async def ask(self, dialect: str, path: str, body: bytes, headers: Headers) -> Reply:
        """See `Upstream.ask`."""
        if dialect == "openai":
            return await self.inner.ask(dialect, path, body, headers)
        if not self._translate:
            reply = await self.inner.ask(dialect, path, body, headers)
            if reply.status not in _NO_SUCH_PATH:
                return reply
            await reply.close()
        sent = encode(as_chat(decode(body)))
        reply = await self.inner.ask("openai", OpenAIDialect.path, sent, _as_bearer(headers))
        # A missing model gives 404 as well, so only a success settles which way to ask.
        self._translate |= reply.status == 200
        return TranslatedReply(reply) if reply.status == 200 else reply

    async def models(self, headers: Headers) -> Reply:
        """See `Upstream.models`."""
        return await self.inner.models(headers)

    async def close(self) -> None:
        """See `Upstream.close`."""
        await self.inner.close()


def as_chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """A messages request as a chat completions request."""
    chat = {name: body[name] for name in _SAME if name in body}
    system, _ = flatten(body.get("system"))
    opening = [{"role": "system", "content": system}] if system else []
    chat["messages"] = [*opening, *(m for turn in body["messages"] for m in _turn(turn))]
    if body.get("stop_sequences"):
        chat["stop"] = body["stop_sequences"]
    if isinstance(body.get("tools"), list):
        chat["tools"] = [_tool(tool) for tool in body["tools"] if isinstance(tool, dict)]
    if isinstance(body.get("tool_choice"), dict):
        chat["tool_choice"] = _tool_choice(body["tool_choice"])
    return chat


def _turn(turn: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    content = turn.get("content")
    if not isinstance(content, list):
        yield {"role": turn["role"], "content": content}
        return
    blocks = [block for block in content if isinstance(block, dict)]
    for block in blocks:
        if block.get("type") == "tool_result":
            text, _ = flatten(block.get("content"))
            yield {"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": text}
    calls = [_call(block) for block in blocks if block.get("type") == "tool_use"]
    parts = [part for block in blocks for part in _part(block)]
    if calls:
        texts = "".join(part.get("text", "") for part in parts)
        yield {"role": turn["role"], "content": texts or None, "tool_calls": calls}
    elif parts:
        yield {"role": turn["role"], "content": parts}


def _part(block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    kind, source = block.get("type"), block.get("source")
    if kind == "text":
        yield {"type": "text", "text": block.get("text", "")}
    elif kind == "image" and isinstance(source, dict):
        data = f"data:{source.get('media_type')};base64,{source.get('data')}"
        yield {"type": "image_url", "image_url": {"url": source.get("url") or data}}
    elif kind not in ("tool_use", "tool_result", "thinking", "redacted_thinking"):
        raise Fault("invalid_request", "upstream cannot be given a block of this kind")


def _call(block: Mapping[str, Any]) -> dict[str, Any]:
    arguments = encode(block.get("input") or {}).decode()
    function = {"name": block.get("name"), "arguments": arguments}
    return {"id": block.get("id"), "type": "function", "function": function}


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": tool.get("name"), "parameters": tool.get("input_schema") or {}}
    if tool.get("description"):
        function["description"] = tool["description"]
    return {"type": "function", "function": function}


def _tool_choice(choice: Mapping[str, Any]) -> Any:
    if choice.get("type") == "tool":
        return {"type": "function", "function": {"name": choice.get("name")}}
    return _CHOICES.get(str(choice.get("type")), "auto")


def _as_bearer(headers: Headers) -> list[tuple[str, str]]:
    """The key of an Anthropic client where an OpenAI upstream looks for it."""
    key = next((value for name, value in headers if name == "x-api-key"), None)
    kept = [(n, v) for n, v in headers if n != "x-api-key" and not n.startswith("anthropic-")]
    if key is not None and not any(name == "authorization" for name, _ in kept):
        kept.append(("authorization", f"Bearer {key}"))
    return kept
