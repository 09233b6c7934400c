"""The OpenAPI document of the server: what it takes and what it answers. Data only.

Bodies are described as far as the guard reads them; all other fields go on to upstream.
"""

from __future__ import annotations

from typing import Any

from charter import __version__

Schema = dict[str, Any]
_JSON, _EVENTS, _PLAIN = "application/json", "text/event-stream", "text/plain"
_TEXT: Schema = {"type": "string"}
_ERRORS = {
    "400": "The request cannot be read, or holds what the guard cannot check.",
    "401": "The guard's key is missing or wrong.",
    "413": "The request is too large.",
    "429": "The queue is full; see the header retry-after.",
    "4XX": "Upstream refused, with this status.",
    "502": "Upstream failed.",
    "503": "The guard failed and is closed on errors.",
    "504": "Upstream was too slow.",
}


def _object(*required: str, **properties: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def _list(items: Schema, least: int = 0) -> Schema:
    return {"type": "array", "items": items, "minItems": least}


_PART = _object("type", type={"enum": ["text", "refusal", "thinking", "tool_use"]}, text=_TEXT)
_CONTENT = {
    "description": "Parts of other kinds may hold what the guard cannot check, such as images.",
    "oneOf": [_TEXT, {"type": "null"}, _list(_PART)],
}
_OPENAI_ERROR = _object(
    "error", error=_object("message", "type", "code", message=_TEXT, type=_TEXT, code=_TEXT)
)
_ANTHROPIC_ERROR = _object(
    "type",
    "error",
    type={"const": "error"},
    error=_object("type", "message", type=_TEXT, message=_TEXT),
)
_COMPLETION = _object("choices", choices=_list({"type": "object"}, 1))
_MESSAGE = _object("content", content=_list({"type": "object"}))
_HEALTH = _object(
    *("status", "mode", "on_error", "classifier", "active"),
    status={"enum": ["ok", "degraded"]},
    mode={"enum": ["enforce", "shadow"]},
    on_error={"enum": ["closed", "open"]},
    classifier=_TEXT,
    active={"type": "integer", "minimum": 0},
)


def _post(summary: str, body: Schema, answer: Schema, error: Schema) -> Schema:
    """An endpoint for exchanges. Errors have the body of the dialect."""
    found = {
        "description": "An answer, or a refusal: then with the header x-charter-clause, if "
        "nothing had left before, and a field `charter`. Streamed, if the request says so.",
        "content": {_JSON: {"schema": answer}, _EVENTS: {}},
    }
    answers = {"200": found, **_failing(error, *_ERRORS)}
    request = {"required": True, "content": {_JSON: {"schema": body}}}
    return {"post": {"summary": summary, "requestBody": request, "responses": answers}}


def _get(summary: str, kind: str, schema: Schema, errors: Schema | None = None) -> Schema:
    found = {"description": summary, "content": {kind: {"schema": schema}}}
    return {"get": {"summary": summary, "responses": {"200": found, **(errors or {})}}}


def _failing(error: Schema, *statuses: str) -> Schema:
    body = {_JSON: {"schema": error}}
    return {status: {"description": _ERRORS[status], "content": body} for status in statuses}


def _request(roles: list[str], *required: str, **more: Schema) -> Schema:
    message = _object("role", role={"enum": roles}, content=_CONTENT)
    return _object(
        *required,
        model=_TEXT,
        messages=_list(message, 1),
        stream={"type": "boolean"},
        max_tokens={"type": "integer", "minimum": 1},
        **more,
    )


_OPENAI = _request(
    ["system", "developer", "user", "assistant", "tool"],
    "messages",
    n={"type": "integer", "minimum": 1, "maximum": 128},
    modalities=_list({"const": "text"}),
)
_ANTHROPIC = _request(["user", "assistant"], "messages", "max_tokens", system=_TEXT)
_DEGRADED: Schema = {
    "503": {
        "description": "The audit log cannot be written.",
        "content": {_JSON: {"schema": _HEALTH}},
    }
}
DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "charter guard", "version": __version__},
    "paths": {
        "/v1/chat/completions": _post(
            "A chat completion, checked before it leaves.", _OPENAI, _COMPLETION, _OPENAI_ERROR
        ),
        "/v1/messages": _post(
            "A message, checked before it leaves.", _ANTHROPIC, _MESSAGE, _ANTHROPIC_ERROR
        ),
        "/v1/models": _get(
            "The models that upstream lists.",
            _JSON,
            {"type": "object"},
            _failing(_OPENAI_ERROR, "401", "4XX", "502", "504"),
        ),
        "/healthz": _get("Whether the server is fit to serve.", _JSON, _HEALTH, _DEGRADED),
        "/metrics": _get("What the server counts, for Prometheus.", _PLAIN, _TEXT),
    },
}
