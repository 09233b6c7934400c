"""What the guard costs: what its probe adds to a model, and its server to an endpoint.

    python benchmarks/guard.py [--json] [--streams 500] [--chunks 20] [--interval 0.5]
                               [--requests 100000] [--model embedded] [--tokens 48] [--no-probe]
                               [--cascade DIR --harmful FILE --benign FILE [--text-column NAME]]

The probe: a linear head on every layer of the served model. Its operations are counted; its time is
measured by generating the same text with it and without, in turns.

The server:

Three processes: a stub endpoint that sends a chunk at fixed intervals, the guard before it (a list
of words, so no model work), and this one as the client. Each chunk carries the time at which it was
sent, so its delay is seen by itself; chunks are as long as the guard's window. What is reported is
the median through the guard minus the median without it, first with a few streams, then with all.

`lost` counts streams that did not arrive whole, to the byte. `PARTS` joins the parts of this
benchmark; each gives figures of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

Figures = dict[str, float]
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_SENT = re.compile(rb"t(\d{19})")
_FEW = 8
_FEW_INTERVAL = 0.05


def frame(text: str, index: int) -> bytes:
    """One event; its text has 32 characters, the length of a window."""
    choice = {"index": 0, "delta": {"content": text.ljust(32)}, "finish_reason": None}
    form = {
        "id": f"chatcmpl-{index}",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
    }
    return b"data: " + json.dumps({**form, "choices": [choice]}).encode() + b"\n\n"


def chunked(blob: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(blob), blob)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Chunks at fixed times after the request, whatever else happens."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:  # somebody looked whether the port is open
        writer.close()
        return
    length = int(re.search(rb"content-length: (\d+)", head.lower())[1])
    asked = json.loads(await reader.readexactly(length))
    loop, started = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    writer.write(_HEAD)
    for i in range(asked["chunks"]):
        await asyncio.sleep(max(0.0, started + (i + 1) * asked["interval"] - loop.time()))
        writer.write(chunked(frame(f"t{time.monotonic_ns():019d} {i}", i)))
    stop = {"index": 0, "delta": {}, "finish_reason": "stop"}
    ending = b"data: " + json.dumps({"id": "x", "choices": [stop]}).encode() + b"\n\n"
    writer.write(chunked(ending) + chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n")
    await writer.drain()
    writer.close()


def stub(port: int) -> None:
    """The endpoint, until it is killed."""

    async def main() -> None:
        server = await asyncio.start_server(_answer, "127.0.0.1", port, backlog=4096)
        await server.serve_forever()

    asyncio.run(main())


@dataclass
class Seen:
    """Delays of one round, in milliseconds."""

    first: list[float] = field(default_factory=list)
    later: list[float] = field(default_factory=list)
    lost: int = 0


async def one_stream(port: int, chunks: int, interval: float, seen: Seen) -> None:
    """Ask for one stream, and note how long each chunk was on its way."""
    body = json.dumps(
        {
            "model": "m",
            "stream": True,
            "messages": [{"role": "user", "content": "How do I bake bread?"}],
            "chunks": chunks,
            "interval": interval,
        }
    ).encode()
    request = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    delays, whole, rest = [], False, b""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request + b"content-length: %d\r\n\r\n" % len(body) + body)
        while not whole:
            data = await reader.read(1 << 16)
            now = time.monotonic_ns()
            if not data:
                break
            rest += data
            for match in _SENT.finditer(rest):
                delays.append((now - int(match[1])) / 1e6)
            whole = rest.endswith(b"0\r\n\r\n") and b"[DONE]" in rest
            # Keep what a time, or the end, may still be cut off from.
            rest = _SENT.sub(b"", rest)[-200:]
        writer.close()
    except OSError:
        pass
    seen.lost += not (whole and len(delays) == chunks)
    seen.first += delays[:1]
    seen.later += delays[1:]


async def many_streams(port: int, streams: int, chunks: int, interval: float) -> Seen:
    """Streams at once; they begin spread over one interval, as clients do."""
    seen = Seen()

    async def late(i: int) -> None:
        await asyncio.sleep(interval * i / streams)
        await one_stream(port, chunks, interval, seen)

    await asyncio.gather(*(late(i) for i in range(streams)))
    return seen


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


@contextmanager
def servers() -> Iterator[tuple[int, int, int]]:
    """The stub's port, the guard's port, and the guard's process id."""
    direct, guarded = free_port(), free_port()
    endpoint = get_context("spawn").Process(target=stub, args=(direct,), daemon=True)
    endpoint.start()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "guard.json").write_text('{"kind": "words"}')
        (Path(folder) / "words.json").write_text('{"words": {"BOMBWORD": "no-weapons"}}')
        command = [sys.executable, "-m", "charter.cli.main", "guard", "serve", "--guard", folder]
        command += ["--upstream", f"http://127.0.0.1:{direct}/v1", "--port", str(guarded)]
        command += ["--audit", f"{folder}/audit"]
        quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "CHARTER_GUARD_KEY": ""}}
        guard = subprocess.Popen(command, **quiet)
        try:
            wait_for(direct)
            wait_for(guarded)
            yield direct, guarded, guard.pid
        finally:
            guard.terminate()
            guard.wait(30)
            endpoint.terminate()
            endpoint.join(10)


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else float("nan")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def proxy(options: argparse.Namespace) -> Figures:
    """What the server adds to the first byte and to each chunk."""
    median, chunks = statistics.median, options.chunks
    with servers() as (direct, guarded, pid):
        few, many = {}, {}
        asyncio.run(many_streams(guarded, _FEW, 5, 0.01))  # warm
        before, started = resident_mib(pid), cpu_seconds(pid)
        for name, port in (("direct", direct), ("guarded", guarded)):
            few[name] = asyncio.run(many_streams(port, _FEW, 4 * chunks, _FEW_INTERVAL))
            many[name] = asyncio.run(many_streams(port, options.streams, chunks, options.interval))
        after, worked = resident_mib(pid), cpu_seconds(pid) - started

    def added(seen: dict[str, Seen], part: Callable[[Seen], list[float]]) -> float:
        return round(median(part(seen["guarded"])) - median(part(seen["direct"])), 3)

    return {
        "proxy_first_byte_ms_p50": added(few, lambda s: s.first),
        "proxy_chunk_ms_p50": added(few, lambda s: s.later),
        "streams": options.streams,
        "lost": many["guarded"].lost + few["guarded"].lost,
        "proxy_loaded_first_byte_ms_p50": added(many, lambda s: s.first),
        "proxy_loaded_chunk_ms_p50": added(many, lambda s: s.later),
        "chunks_per_second": round(options.streams / options.interval),
        "proxy_cpu_ms_per_chunk": round(1000 * worked / (chunks * (options.streams + 4 * _FEW)), 3),
        "rss_mib_before": round(before, 1),
        "rss_mib_after": round(after, 1),
    }


async def many_requests(port: int, requests: int) -> int:
    """Short exchanges over a few connections; how many went wrong."""
    wrong, todo = 0, iter(range(requests))

    async def worker() -> None:
        nonlocal wrong
        seen = Seen()
        for _ in todo:
            await one_stream(port, 1, 0.0, seen)
        wrong += seen.lost

    await asyncio.gather(*(worker() for _ in range(_FEW)))
    return wrong


def soak(options: argparse.Namespace) -> Figures:
    """Memory over many requests: after the first tenth, and at the end."""
    if not options.requests:
        return {}
    with servers() as (_, guarded, pid):
        wrong = asyncio.run(many_requests(guarded, options.requests // 10))
        early = resident_mib(pid)
        wrong += asyncio.run(many_requests(guarded, options.requests * 9 // 10))
        late = resident_mib(pid)
    return {
        "soak_requests": options.requests,
        "soak_wrong": wrong,
        "soak_rss_mib_early": round(early, 1),
        "soak_rss_mib_late": round(late, 1),
    }


def probe(options: argparse.Namespace) -> Figures:
    """What a head on every layer adds to each token: operations, and wall time in-process."""
    if options.no_probe:
        return {}
    # Here and not above: the stub's process imports this file too, and needs no torch.
    import numpy as np

    from charter.guard.probe import Probe
    from charter.models import hf
    from charter.records import Message, Request, Sampling

    model = hf.load(options.model)
    layers = tuple(range(1, model.layers + 1))
    weights = np.random.default_rng(0).normal(size=(len(layers), model.hidden_size))
    head = Probe(weights.astype(np.float32), 0.0, layers)
    asked = (Message("user", "Write a long story about a lighthouse and the people in it."),)
    request = Request(asked, Sampling(options.tokens, temperature=0.0), 0)
    seen: dict[str, list[float]] = {"with": [], "without": []}
    model.generate([request])  # warm
    for turn in range(options.probe_turns):
        # Each first as often as the other, since a busy machine changes its pace.
        for kind in ("with", "without") if turn % 2 else ("without", "with"):
            with head.watching(model) if kind == "with" else nullcontext():
                started = time.perf_counter()
                done = model.generate([request])[0]
                seen[kind].append((time.perf_counter() - started) / done.tokens)
    bare = statistics.median(seen["without"])
    added = statistics.median(a - b for a, b in zip(seen["with"], seen["without"], strict=True))
    return {
        "probe_flop_fraction": head.flop_fraction(model),
        "probe_wall_fraction": round(added / bare, 5),
        "probe_token_ms": round(1000 * bare, 3),
        "probe_layers": len(layers),
    }


def cascade(options: argparse.Namespace) -> Figures:
    """What a cascade of guards costs and catches, by the score from which it asks the second."""
    if not options.cascade:
        return {}
    # Here and not above, as in `probe`.
    import numpy as np

    from charter.guard import evaluation, labelled, loading
    from charter.guard.cascade import CascadeClassifier, cost_curve

    loaded = loading.load(options.cascade)
    both = loaded.classifier
    if not isinstance(both, CascadeClassifier):
        raise SystemExit(f"{options.cascade}: no guard of the kind 'cascade'")
    column = options.text_column
    other = labelled.shared_column(options.benign, column)
    given = ((options.harmful, column), (options.benign, other))
    files = [labelled.read(file, text=name).rows for file, name in given]
    rows, labels = [*files[0], *files[1]], np.repeat([1, 0], [len(f) for f in files])
    started = time.perf_counter()
    first = evaluation.scores(both.first, rows, "prompt", 32)
    halfway = time.perf_counter()
    second = evaluation.scores(both.second, rows, "prompt", 32)
    seconds = (halfway - started, time.perf_counter() - halfway)
    found = {
        f"cascade_{name}_ms": round(1000 * spent / len(rows), 3)
        for name, spent in zip(("first", "second"), seconds, strict=True)
    }
    threshold = loaded.thresholds.prompt
    for at in cost_curve(first, second, labels, threshold=threshold, weight=both.weight):
        point = {"escalated": at.escalated, "recall": at.recall, "fpr": at.false_alarms}
        found |= {f"cascade_from_{at.escalate:g}_{name}": x for name, x in point.items()}
    return found


PARTS: tuple[Callable[[argparse.Namespace], Figures], ...] = (probe, proxy, soak, cascade)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--chunks", type=int, default=20)
    parser.add_argument("--interval", type=float, default=0.5, help="seconds between chunks")
    parser.add_argument("--requests", type=int, default=0, help="also watch memory over so many")
    parser.add_argument("--model", default="embedded", help="model that the probe watches")
    parser.add_argument("--tokens", type=int, default=48, help="tokens of each timed answer")
    parser.add_argument("--probe-turns", type=int, default=10, help="timed answers of each kind")
    parser.add_argument("--no-probe", action="store_true", help="load no model")
    parser.add_argument("--cascade", help="guard of the kind cascade: also its cost and recall")
    parser.add_argument("--harmful", help="prompts for it: CSV or JSONL")
    parser.add_argument("--benign", help="harmless prompts for it")
    parser.add_argument("--text-column", help="their column in both files")
    options = parser.parse_args()
    if options.cascade and not (options.harmful and options.benign):
        parser.error("--cascade needs --harmful and --benign")
    figures: Figures = {}
    for part in PARTS:
        figures |= part(options)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:32} {value:g}")


if __name__ == "__main__":
    main()
