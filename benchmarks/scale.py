"""A data stage at size: flat memory, and what Ray adds and gives.

    python benchmarks/scale.py [--json] [--small 10000] [--large 1000000] [--delay S] [--chunks N]

The stage is the critique stage with one round: three calls to a stub model a chunk, each of which
takes `--delay` seconds whatever it is asked, so that all other time is ours.

`rss_10k_mb` and `rss_1m_mb` are peaks of processes of their own that run the stage on the local
engine over `--small` and `--large` prompts, without delay. `ray_overhead_fraction` is the time that
one Ray worker takes more than the local engine, over the local engine's; `speedup_2_workers` is the
rate of two Ray workers over that of one. Rates count from the `--warm`-th chunk to the last: Ray's
start is paid once and stands apart (`ray_start_s`, until the first chunk). `lost` and `duplicated`
are records of all Ray runs, of which one has a worker killed half-way; `same_bytes` says that each
holds the records of the local engine, as a set, byte for byte.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from charter import critique
from charter.constitution import document
from charter.engine.choosing import chosen
from charter.engine.config import EngineConfig
from charter.records import Completion, Message, Prompt, Request
from charter.storage.index import StorageConfig
from charter.store import RECORDS, RunFolder, StageFolder

CHUNK = 48
"""Items of a chunk, as `engine.local.process` cuts them."""


class Stub:
    """A model that answers at once, or after a fixed time. `mark`: a file; see `killing`."""

    identity = "stub@0"

    def __init__(self, delay: float, mark: str = "") -> None:
        self.delay, self.mark = delay, mark

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """A text that depends on the request's seed, as a sampled one would."""
        if self.mark and any("prompt 100 " in r.messages[-1].content for r in requests):
            self._die_once()
        time.sleep(self.delay)
        return [Completion(f"An answer of its own, {r.seed % 9973}.", 8, "stop") for r in requests]

    def _die_once(self) -> None:
        if not Path(self.mark).exists():
            Path(self.mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)


def prompts(count: int) -> Iterator[Prompt]:
    for number in range(count):
        yield Prompt(f"p{number:08d}", (Message("user", f"This is prompt {number} of many."),))


def stage_run(
    folder: Path, count: int, model: Stub, shard_mb: float
) -> tuple[StageFolder, list[float]]:
    """The stage over `count` prompts; seconds from its start to the end of each chunk."""
    stage = RunFolder(folder, StorageConfig(shard_mb=shard_mb)).stage("critique", "scale")
    times: list[float] = []
    started = time.monotonic()

    def progress(_stage: str, _done: int, _total: int | None) -> None:
        times.append(time.monotonic() - started)

    deps = critique.CritiqueDeps(model, model, stage, progress=progress)
    config = critique.CritiqueConfig(critic="few-shot", rounds=1)
    critique.run(prompts(count), document.load("default"), config, deps=deps)
    return stage, times


def rss_of(count: int, args: argparse.Namespace) -> float:
    """Peak RSS, in MB, of a process that runs the stage over `count` prompts."""
    command = [sys.executable, __file__, "--rss-of", str(count), "--shard-mb", str(args.shard_mb)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def rate(times: list[float], warm: int) -> float:
    """Chunks a second after the first `warm`."""
    return (len(times) - warm) / (times[-1] - times[warm - 1])


def lines(stage: StageFolder) -> list[bytes]:
    return (stage.path / RECORDS).read_bytes().splitlines()


def engine(workers: int) -> EngineConfig:
    return EngineConfig("ray", actors=workers, min_actors=workers, cpus=0.5, object_store_mb=100)


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The figures; see the top of the file."""
    count, found = args.chunks * CHUNK, dict[str, Any]()
    small, large = (rss_of(number, args) for number in (args.small, args.large))
    found |= {"rss_10k_mb": small, "rss_1m_mb": large, "rss_ratio": round(large / small, 3)}
    stages: dict[str, StageFolder] = {}
    times: dict[str, list[float]] = {}
    for name, workers, model in (
        ("local", 0, Stub(args.delay)),
        ("ray1", 1, Stub(args.delay)),
        ("ray2", 2, Stub(args.delay)),
        ("killed", 2, Stub(args.delay / 10, str(folder / "mark"))),
    ):
        with chosen(engine(workers)) if workers else nullcontext():
            stages[name], times[name] = stage_run(folder / name, count, model, args.shard_mb)
    expected = Counter(lines(stages["local"]))
    rays = [Counter(lines(stages[name])) for name in ("ray1", "ray2", "killed")]
    rates = {name: rate(times[name], args.warm) for name in ("local", "ray1", "ray2")}
    found |= {
        "ray_overhead_fraction": round(rates["local"] / rates["ray1"] - 1.0, 4),
        "speedup_2_workers": round(rates["ray2"] / rates["ray1"], 3),
        "lost": sum((expected - ray).total() for ray in rays),
        "duplicated": sum((ray - expected).total() for ray in rays),
        "same_bytes": all(ray == expected for ray in rays),
        "ray_start_s": round(times["ray2"][0], 2),
        "worker_killed": (folder / "mark").exists(),
        "prompts": {"small": args.small, "large": args.large, "ray": count},
        "delay_s": args.delay,
    }
    return found


def rss_child(count: int, shard_mb: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        stage_run(Path(folder), count, Stub(0.0), shard_mb)
    print(peak_mb())


def peak_mb() -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # `getrusage` would also count what the parent had when it started this process.
    words = status.read_text().split()
    return int(words[words.index("VmHWM:") + 1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--delay", type=float, default=0.5, help="seconds a call")
    parser.add_argument("--chunks", type=int, default=40, help="chunks of each Ray run")
    parser.add_argument("--warm", type=int, default=8, help="chunks before rates are taken")
    parser.add_argument("--shard-mb", type=float, default=1024.0)
    parser.add_argument("--rss-of", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.rss_of is not None:
        rss_child(args.rss_of, args.shard_mb)
        return
    with tempfile.TemporaryDirectory() as folder:
        found = measure(args, Path(folder))
    if args.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:24} {value}")


if __name__ == "__main__":
    main()
