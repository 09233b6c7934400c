"""What `make redteam` runs: a stub endpoint, a guard before it, and everything that attacks it.

    python tools/redteam_loopback.py [--limit 4] [--forms base64,role_play] [--ours-only]

All of it is on loopback. Our own red team always runs; `inspect` and `hermes-jailbench` run where
they are on the PATH, or named by INSPECT and JAILBENCH. The stub answers everything with a fixed
text, so the figures say that the parts fit together and nothing about any model.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

WORD = "BOMBWORD"


async def _models(request: Request) -> JSONResponse:
    return JSONResponse({"object": "list", "data": [{"id": "stub", "object": "model"}]})


async def _chat(request: Request) -> JSONResponse:
    """Says the guarded word when asked for a secret, else a harmless sentence."""
    asked = (await request.json())["messages"][-1]["content"]
    said = f"The secret is {WORD}." if "secret" in str(asked).lower() else "Bread needs an oven."
    message = {"role": "assistant", "content": said}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 5, "total_tokens": 6}
    form = {"id": "c1", "object": "chat.completion", "created": 1, "model": "stub"}
    return JSONResponse({**form, "choices": [choice], "usage": usage})


@contextmanager
def stub() -> Iterator[int]:
    """The endpoint's port."""
    routes = [
        Route("/v1/models", _models),
        Route("/v1/chat/completions", _chat, methods=["POST"]),
    ]
    port = _free_port()
    server = uvicorn.Server(
        uvicorn.Config(Starlette(routes=routes), port=port, log_level="warning")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    _wait_for(port)
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def guard(upstream: int, folder: Path) -> Iterator[str]:
    """The URL of a guard of words before the endpoint."""
    (folder / "guard.json").write_text('{"kind": "words"}')
    (folder / "words.json").write_text(json.dumps({"words": {WORD: "no-weapons"}}))
    port = _free_port()
    command = [*_charter(), "guard", "serve", "--guard", str(folder), "--port", str(port)]
    command += ["--upstream", f"http://127.0.0.1:{upstream}/v1", "--audit", str(folder / "audit")]
    process = subprocess.Popen(command, env={**os.environ, "CHARTER_GUARD_KEY": ""})
    try:
        _wait_for(port)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(30)


def ours(url: str, options: argparse.Namespace, out: Path) -> list[str]:
    """The command of our own red team."""
    sizes = ["--limit", str(options.limit), "--forms", options.forms, "--max-tokens", "32"]
    return [*_charter(), "guard", "redteam", "--target", url, *sizes, "--out", str(out)]


def theirs(url: str, out: Path) -> dict[str, list[str]]:
    """Commands of the scanners that are here, by name."""
    inspect = shutil.which(os.environ.get("INSPECT", "inspect"))
    jailbench = shutil.which(os.environ.get("JAILBENCH", "hermes-jailbench"))
    found: dict[str, list[str]] = {}
    if inspect:
        # It takes no absolute path to a task.
        task = os.path.relpath(Path(__file__).with_name("inspect_guard.py"))
        model = ["--model", "openai-api/charter/stub", "--display", "plain"]
        found["inspect"] = [inspect, "eval", task, *model, "--log-dir", str(out / "inspect")]
    if jailbench:
        where = ["--provider", "openai-compat", "--base-url", url, "--model", "stub"]
        few = ["--categories", "encoding_bypass", "--delay", "0", "--target", f"Explain {WORD}"]
        found["hermes-jailbench"] = [jailbench, *where, *few, "--output", str(out / "jailbench.md")]
    return found


def main() -> None:
    """Run them one after another; exit with 1 if one failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--limit", type=int, default=4)
    parser.add_argument("--forms", default="base64,role_play")
    parser.add_argument("--out", type=Path, default=Path("runs/redteam-loopback"))
    parser.add_argument("--no-ours", action="store_true", help="only the scanners of others")
    parser.add_argument("--ours-only", action="store_true", help="no scanner of others")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, stub() as port, guard(port, Path(folder)) as url:
        commands: dict[str, list[str]] = {}
        if not options.no_ours:
            commands["charter"] = ours(url, options, options.out)
        if not options.ours_only:
            commands.update(theirs(url, options.out))
        failed = [name for name, command in commands.items() if not _run(name, command, url)]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


def _run(name: str, command: list[str], url: str) -> bool:
    print(f"== {name}: {' '.join(command)}", flush=True)
    more: dict[str, Any] = {"CHARTER_BASE_URL": url, "CHARTER_API_KEY": "none"}
    return subprocess.run(command, env={**os.environ, **more}, check=False).returncode == 0


def _charter() -> list[str]:
    return [sys.executable, "-m", "charter.cli.main"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


if __name__ == "__main__":
    main()
