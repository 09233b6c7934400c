"""The served application against its own OpenAPI document: requests that fit it, and that do not.

Every answer of the scripted endpoint holds the blocked word, so whatever leaves unchecked is seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zlib import crc32

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.python import asgi
from schemathesis.specs.openapi.checks import negative_data_rejection

from charter.guard.audit import AuditLog
from charter.guard.config import GuardSettings, Limits
from charter.guard.openapi import DOCUMENT
from charter.guard.proxy import Proxy
from charter.guard.translation import BothDialects
from charter.guard.upstream import HttpUpstream
from charter.guard.words import WordsClassifier

MODELS = b'{"object":"list","data":[{"id":"m","object":"model"}]}'
EXCLUDED = [
    negative_data_rejection,  # fields that the guard does not read are for upstream to judge
    not_a_server_error,  # 502 is documented; others are found by the document or below
]
LIMITS = Limits(idle_seconds=2, answer_seconds=4, request_bytes=1 << 16)


def script(wire: SimpleNamespace) -> Any:
    """An endpoint whose answer depends on the request alone: five in eight are well-formed."""
    bad = f"Bread is easy, and then {wire.word}, and many words more of it. "
    pieces = [bad[i : i + 5] for i in range(0, len(bad), 5)]
    whole = {
        "/v1/chat/completions": wire.openai_whole(bad),
        "/v1/messages": json.dumps(wire.anthropic_message(bad)).encode(),
    }
    streamed = {
        "/v1/chat/completions": [*wire.openai_stream(pieces), wire.done],
        "/v1/messages": wire.anthropic_stream(pieces),
    }

    def said(path: str, data: dict[str, Any]) -> Any:
        if path == "/v1/models":
            return wire.http_json(MODELS)
        frames = streamed[path] if data.get("stream") is True else [whole[path]]
        half = b"".join(frames)[: len(b"".join(frames)) * 2 // 3]
        faulty = {
            0: wire.http_json(b'{"error":{"message":"%s"}}' % wire.word.encode(), 409),
            1: wire.http([b"data: [%s]\n\n" % wire.word.encode()]),
            2: wire.http([half])[:-1],  # the connection breaks
        }
        return faulty.get(crc32(json.dumps(data).encode()) % 8, wire.http(frames))

    return said


@pytest.fixture
def proxy(stub: Any, wire: SimpleNamespace, tmp_path: Path) -> Iterator[Proxy]:
    upstream = BothDialects(HttpUpstream(stub(script(wire)).url, LIMITS))
    audit = AuditLog(tmp_path / "audit")
    classifier = WordsClassifier({wire.word: wire.clause})
    proxy = Proxy(classifier, GuardSettings(limits=LIMITS), upstream, audit)
    yield proxy
    proxy.parts.scorer.close()
    audit.close()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[asgi.ASGIClient]:
    with asgi.get_client(proxy.app()) as client:
        yield client


def test_the_document_is_served(client: asgi.ASGIClient) -> None:
    assert client.get("/openapi.json").json() == DOCUMENT


@schemathesis.openapi.from_dict(DOCUMENT).parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_answered_is_what_the_document_says(
    case: schemathesis.Case, client: asgi.ASGIClient, proxy: Proxy, wire: SimpleNamespace
) -> None:
    answer = case.call(base_url=client.base_url, session=client)
    case.validate_response(answer, excluded_checks=EXCLUDED)
    assert answer.status_code not in (500, 503, 504)  # the guard itself has no reason to fail
    assert wire.word not in answer.text + str(answer.headers)
    assert proxy.admission.active == 0
