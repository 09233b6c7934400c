"""How long the data stages take on 1 to 256 servers: a discrete-event simulation, no measurement.

    python benchmarks/capacity.py [--json] [--prompts 1e6,1e7,1e8,1e9] [--servers 1,8,64,256]
                                  [--speed 1] [--summary runs/NAME/summary.json] [--rates FILE]

Fed with measured seconds a prompt: of `docs/results.md` and the counts of `recipes/embedded.yaml`,
or of a run's own `summary.json`. One server is then the machine of that run; `--speed 100` assumes
one that is a hundred times as fast. `--rates` names a JSON file with any field of `Assumptions`.

A stage is three stations in a row: the driver, which hands chunks out one after another; the
servers, each with one chunk at a time; the store, which writes one after another. At most `ahead`
chunks a server are under way, as in the engine, and a stage begins when the one before has ended,
as in the pipeline. Servers differ from chunk to chunk, straggle, fail and come back; a failure
costs the chunk in hand, never one that is written.

Beyond a few thousand chunks, several are simulated as one block: its time is drawn from the sum's
own distribution (normal, binomial and Poisson counts), so the ends of a stage are a little coarser
than in truth, and the totals are the same. `tests/deploy/test_capacity.py` holds the stations
against closed forms.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import random
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
# Which of a recipe's counts a stage works through.
COUNTS = {
    "critique": ("critique_redteam",),
    "pairs": ("pairs_redteam", "pairs_benign"),
    "feedback": ("pairs_redteam", "pairs_benign"),
    "evaluate": ("eval_redteam", "eval_benign", "eval_borderline"),
}
HOUR = 3600.0


@dataclass(frozen=True)
class Assumptions:
    """Everything that is put in. What is not measured is assumed, and said to be."""

    seconds_per_prompt: dict[str, float] = field(default_factory=dict)
    """Measured, on one server."""
    speed: float = 1.0
    """Assumed: how much faster a server is than the one measured."""
    chunk: int = 64
    """Prompts handed to a server at a time."""
    ahead: int = 8
    """Chunks under way, a server (`engine.ahead`)."""
    spread: float = 0.3
    """Assumed: standard deviation of one prompt's time, over its mean."""
    straggle: float = 0.01
    """Assumed: share of chunks that take `straggle_times` as long."""
    straggle_times: float = 4.0
    server_mtbf_hours: float = 50_000.0
    """Published: 419 unexpected interruptions in 54 days of 16,384 GPUs (Llama 3, 2407.21783)."""
    restart_s: float = 300.0
    """Assumed: from a failure to the first prompt of the server that takes over."""
    driver_s_per_prompt: float = 0.0002
    """Assumed: the one process that reads prompts, hands them out and takes answers in."""
    bytes_per_record: float = 4000.0
    """Assumed."""
    store_bytes_per_s: float = 200e6
    """Assumed: what the store takes from one writer."""
    blocks: int = 1500
    """Blocks simulated, at least (32 a server if that is more)."""


class Clock:
    """The events to come, in order of time; equal times in the order they were planned."""

    def __init__(self) -> None:
        self.now, self._planned = 0.0, 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def after(self, seconds: float, then: Callable[[], None]) -> None:
        self._planned += 1
        heapq.heappush(self._events, (self.now + seconds, self._planned, then))

    def run(self) -> float:
        """Let everything happen; the time of the last event."""
        while self._events:
            self.now, _, then = heapq.heappop(self._events)
            then()
        return self.now


class Station:
    """Equal servers with one queue, first come first served."""

    def __init__(
        self,
        clock: Clock,
        servers: int,
        seconds: Callable[[int], float],
        done: Callable[[int], None],
    ) -> None:
        self.clock, self.servers, self.seconds, self.done = clock, servers, seconds, done
        self.busy, self.busy_s, self.waited_s, self.served = 0, 0.0, 0.0, 0
        self._queue: deque[tuple[float, int]] = deque()

    def arrive(self, item: int) -> None:
        self._queue.append((self.clock.now, item))
        self._next()

    def use(self, until: float) -> float:
        """Share of the servers' time that was work."""
        return self.busy_s / (self.servers * until) if until else 0.0

    def _next(self) -> None:
        if self.busy == self.servers or not self._queue:
            return
        came, item = self._queue.popleft()
        seconds = self.seconds(item)
        self.busy += 1
        self.busy_s += seconds
        self.waited_s += self.clock.now - came
        self.clock.after(seconds, lambda: self._end(item))

    def _end(self, item: int) -> None:
        self.busy -= 1
        self.served += 1
        self._next()
        self.done(item)


@dataclass(frozen=True)
class StageTime:
    """One stage, simulated."""

    seconds: float
    use: dict[str, float]
    """Of driver, servers and store: share of their time that was work."""
    failures: int

    @property
    def bottleneck(self) -> str:
        return max(self.use, key=lambda name: self.use[name])


class Stage:
    """One stage of so many prompts on so many servers."""

    def __init__(
        self, prompts: int, servers: int, seconds: float, given: Assumptions, rng: random.Random
    ) -> None:
        self.given, self.rng, self.failures = given, rng, 0
        self._prompt_s = seconds / given.speed
        chunks = max(1, math.ceil(prompts / given.chunk))
        blocks = min(chunks, max(given.blocks, 32 * servers))
        self._sizes = list(_shares(prompts, blocks))
        self._chunk = min(given.chunk, prompts)
        clock = self.clock = Clock()
        self.store = Station(clock, 1, self._writing, self._written)
        self.servers = Station(clock, servers, self._working, self.store.arrive)
        self.driver = Station(clock, 1, self._handing, self.servers.arrive)
        self._window, self._sent = given.ahead * servers, 0

    def run(self) -> StageTime:
        for _ in range(min(self._window, len(self._sizes))):
            self._send()
        end = self.clock.run()
        assert self.store.served == len(self._sizes)
        stations = {"driver": self.driver, "servers": self.servers, "store": self.store}
        return StageTime(end, {n: s.use(end) for n, s in stations.items()}, self.failures)

    def _send(self) -> None:
        self.driver.arrive(self._sent)
        self._sent += 1

    def _written(self, block: int) -> None:
        if self._sent < len(self._sizes):
            self._send()

    def _handing(self, block: int) -> float:
        return self._sizes[block] * self.given.driver_s_per_prompt

    def _writing(self, block: int) -> float:
        return self._sizes[block] * self.given.bytes_per_record / self.given.store_bytes_per_s

    def _working(self, block: int) -> float:
        """Time of a block: its prompts, its stragglers, and what failures cost on the way."""
        given, rng, prompts = self.given, self.rng, self._sizes[block]
        mean = prompts * self._prompt_s
        noise = rng.gauss(0.0, given.spread * self._prompt_s * math.sqrt(prompts))
        chunks = max(1, round(prompts / self._chunk))
        slow = _count(rng, chunks, given.straggle)
        extra = slow * (given.straggle_times - 1) * mean / chunks
        seconds = max(0.0, mean + noise) + extra
        failures = _poisson(rng, seconds / (given.server_mtbf_hours * HOUR))
        self.failures += failures
        lost = sum(rng.random() for _ in range(min(failures, 1000))) * seconds / chunks
        return seconds + lost + failures * given.restart_s


def _shares(total: int, parts: int) -> Iterable[int]:
    """A whole number in parts that differ by one at most."""
    return (total * (i + 1) // parts - total * i // parts for i in range(parts))


def _count(rng: random.Random, n: int, p: float) -> int:
    """Binomial; beyond a thousand by its normal limit."""
    if n <= 1000:
        return sum(rng.random() < p for _ in range(n)) if p else 0
    drawn = round(rng.gauss(n * p, math.sqrt(n * p * (1 - p))))
    return min(n, max(0, drawn))


def _poisson(rng: random.Random, mean: float) -> int:
    if mean > 50:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    count, product, floor = 0, rng.random(), math.exp(-mean)
    while product > floor:
        count, product = count + 1, product * rng.random()
    return count


def simulate(prompts: int, servers: int, given: Assumptions, seed: int = 0) -> dict[str, Any]:
    """All stages, one after another."""
    stages = {
        name: Stage(prompts, servers, s, given, random.Random(f"{seed} {name}")).run()
        for name, s in given.seconds_per_prompt.items()
    }
    total = sum(stage.seconds for stage in stages.values())
    ideal = prompts * sum(given.seconds_per_prompt.values()) / (servers * given.speed)
    longest = max(stages.values(), key=lambda stage: stage.seconds)
    return {
        "prompts": prompts,
        "servers": servers,
        "hours": total / HOUR,
        "efficiency": ideal / total,
        "bottleneck": longest.bottleneck,
        "failures": sum(stage.failures for stage in stages.values()),
        "terabytes": prompts * len(stages) * given.bytes_per_record / 1e12,
        "stage_hours": {name: stage.seconds / HOUR for name, stage in stages.items()},
        "use": longest.use,
    }


def measured(summary: Path | None) -> dict[str, float]:
    """Seconds a prompt by stage: of one run's summary, or of the page of results."""
    if summary is not None:
        said = json.loads(summary.read_text())
        seconds, counts = said["seconds"], said["recipe"]["prompts"]
    else:
        counts = YAML(typ="safe", pure=True).load(ROOT / "recipes" / "embedded.yaml")["prompts"]
        page = (ROOT / "docs" / "results.md").read_text()
        table = page[page.index("| stage | seconds |") :]
        seconds = {n: float(s) for n, s in re.findall(r"^\| (\w+) \| ([\d.]+) \|$", table, re.M)}
    return {
        stage: seconds[stage] / sum(counts[name] for name in names)
        for stage, names in COUNTS.items()
        if stage in seconds
    }


def assumptions(options: argparse.Namespace) -> Assumptions:
    """What is measured, and what the rates file and the options say on top."""
    said = json.loads(options.rates.read_text()) if options.rates else {}
    if unknown := set(said) - set(Assumptions.__dataclass_fields__):
        sys.exit(f"{options.rates}: no such fields: {', '.join(sorted(unknown))}")
    if "seconds_per_prompt" not in said:
        said["seconds_per_prompt"] = measured(options.summary)
    given = Assumptions(**said)
    return given if options.speed is None else replace(given, speed=options.speed)


def numbers(text: str) -> list[int]:
    return [int(float(word)) for word in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--prompts", type=numbers, default=numbers("1e6,1e7,1e8,1e9"))
    parser.add_argument("--servers", type=numbers, default=numbers("1,8,64,256"))
    parser.add_argument("--speed", type=float)
    parser.add_argument("--summary", type=Path)
    parser.add_argument("--rates", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    given = assumptions(options)
    rows = [simulate(p, s, given, options.seed) for p in options.prompts for s in options.servers]
    if options.json:
        print(json.dumps({"assumptions": asdict(given), "rows": rows}))
        return
    for name, value in asdict(given).items():
        print(f"{name}: {value}")
    print("\n| prompts | servers | hours | efficiency | bottleneck | failures | records, TB |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['prompts']:.0e} | {row['servers']} | {row['hours']:.3g} | "
            f"{row['efficiency']:.2f} | {row['bottleneck']} | {row['failures']} | "
            f"{row['terabytes']:.3g} |"
        )


if __name__ == "__main__":
    main()
