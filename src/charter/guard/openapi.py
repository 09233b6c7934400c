"""The OpenAPI document of the server: what it takes and what it answers. Data only.

Bodies are described as far as the guard reads them; all other fields go on to upstream.
"""

from __future__ import annotations

from typing import Any

from charter import __version__


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _request(roles: list[str], needed: list[str]) -> dict[str, Any]:
    content = {
        "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}],
    }
    message = _object(role={"type": "string", "enum": roles}, content=content)
    message["required"] = ["role", "content"]
    body = _object(
        model={"type": "string"},
        messages={"type": "array", "minItems": 1, "items": message},
        stream={"type": "boolean"},
        max_tokens={"type": "integer", "minimum": 1},
    )
    return {
        "required": True,
        "content": {"application/json": {"schema": {**body, "required": needed}}},
    }


def _answers(**more: str) -> dict[str, Any]:
    """Each status may come with the format's error body; 200 may hold a refusal."""
    said = {
        "200": "An answer, or a refusal: then with the header x-charter-clause, if nothing had "
        "left before, and a field `charter` in the body.",
        "400": "The request cannot be read, or holds what the guard cannot check.",
        "401": "The guard's key is missing or wrong.",
        "413": "The request is too large.",
        "429": "The queue is full; see the header retry-after.",
        "502": "Upstream failed.",
        "503": "The guard failed and is closed on errors.",
        "504": "Upstream was too slow.",
        **more,
    }
    return {status: {"description": text} for status, text in said.items()}


def _get(summary: str) -> dict[str, Any]:
    return {"get": {"summary": summary, "responses": {"200": {"description": summary}}}}


_OPENAI = _request(["system", "developer", "user", "assistant", "tool"], ["messages"])
_ANTHROPIC = _request(["user", "assistant"], ["messages", "max_tokens"])
DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "charter guard", "version": __version__},
    "paths": {
        "/v1/chat/completions": {
            "post": {
                "summary": "A chat completion, checked before it leaves.",
                "requestBody": _OPENAI,
                "responses": _answers(),
            }
        },
        "/v1/messages": {
            "post": {
                "summary": "A message, checked before it leaves.",
                "requestBody": _ANTHROPIC,
                "responses": _answers(),
            }
        },
        "/v1/models": _get("The models that upstream lists."),
        "/healthz": _get("Whether the server is fit to serve."),
        "/metrics": _get("What the server counts, for Prometheus."),
    },
}
