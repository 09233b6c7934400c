"""`examples/guard_stream.py` as a process of its own, against a scripted endpoint on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SAFE = "Zwölf 🥖 in the oven, and the tea is warm. " * 2


@pytest.fixture
def words(tmp_path: Path, wire: SimpleNamespace) -> str:
    said = {"kind": "words", "window": 16}
    (tmp_path / "guard.json").write_text(json.dumps(said))
    (tmp_path / "words.json").write_text(json.dumps({"words": {wire.word: wire.clause}}))
    return str(tmp_path)


def run(url: str, prompt: str, guard: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "examples" / "guard_stream.py"), url, prompt]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [*command, "--guard", guard],
        env={**env, "NO_PROXY": "127.0.0.1", "OPENAI_API_KEY": "none"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_example_prints_what_was_checked(stub: Any, wire: SimpleNamespace, words: str) -> None:
    bad = f"{SAFE}{wire.word} and more"

    def script(path: str, data: dict[str, Any]) -> Any:
        if path == "/v1/models":
            return wire.http_json(b'{"object":"list","data":[{"id":"m","object":"model"}]}')
        text = bad if "badly" in data["messages"][0]["content"] else SAFE
        pieces = [text[i : i + 7] for i in range(0, len(text), 7)]
        return wire.http([*wire.openai_stream(pieces), wire.done])

    endpoint = stub(script)
    whole = run(endpoint.url, "Say it", words)
    assert (whole.returncode, whole.stdout, whole.stderr) == (0, f"{SAFE}\n", "")
    assert [path for path, _, _ in endpoint.requests] == ["/v1/models", "/v1/chat/completions"]
    cut = run(endpoint.url, "Say it badly", words)
    end = bad.index(wire.word) + len(wire.word)
    assert (cut.returncode, cut.stdout) == (3, bad[: (end - 1) // 16 * 16])
    assert cut.stderr == f"\nBlocked: {wire.clause}\n"
    sent = len(endpoint.requests)
    prompt = run(endpoint.url, f"Say {wire.word}", words)
    assert (prompt.returncode, prompt.stdout, len(endpoint.requests)) == (3, "", sent)
