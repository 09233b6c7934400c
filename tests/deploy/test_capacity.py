"""The capacity simulation against closed forms: queueing theory, and plain throughput bounds."""

from __future__ import annotations

import importlib.util
import json
import math
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "capacity.py"


def _loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_capacity", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


capacity = _loaded()
PLAIN = {
    "spread": 0.0,
    "straggle": 0.0,
    "server_mtbf_hours": 1e12,
    "driver_s_per_prompt": 0.0,
    "bytes_per_record": 0.0,
}


def given(**changes: Any) -> Any:
    return capacity.Assumptions(**{"seconds_per_prompt": {"only": 2.0}, **PLAIN, **changes})


def seconds(prompts: int, servers: int, assumed: Any) -> float:
    return float(capacity.simulate(prompts, servers, assumed)["hours"] * 3600)


def mean_wait(servers: int, rate: float, service: Callable[[random.Random], float]) -> float:
    """Of a station with Poisson arrivals; a service takes one second on average."""
    clock, rng, customers = capacity.Clock(), random.Random(1), 40_000
    station = capacity.Station(clock, servers, lambda _: service(rng), lambda _: None)

    def arrive(number: int) -> None:
        station.arrive(number)
        if number < customers:
            clock.after(rng.expovariate(rate), lambda: arrive(number + 1))

    clock.after(0.0, lambda: arrive(1))
    end = clock.run()
    assert station.use(end) == pytest.approx(rate / servers, rel=0.03)
    return float(station.waited_s / station.served)


def test_one_server_waits_as_pollaczek_and_khinchine_say() -> None:
    rho = 0.7
    assert mean_wait(1, rho, lambda rng: 1.0) == pytest.approx(rho / (2 * (1 - rho)), rel=0.05)


def test_several_servers_wait_as_erlang_says() -> None:
    servers, load = 3, 2.1  # M/M/c: the chance to wait is Erlang's C
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    chance = last / (sum(load**k / math.factorial(k) for k in range(servers)) + last)
    found = mean_wait(servers, load, lambda rng: rng.expovariate(1.0))
    assert found == pytest.approx(chance / (servers - load), rel=0.08)


@pytest.mark.parametrize("servers", [1, 8, 256])
def test_without_trouble_the_time_is_the_work_over_the_servers(servers: int) -> None:
    prompts = 64 * 256 * 40  # divides evenly
    assert seconds(prompts, servers, given(blocks=256 * 40)) == pytest.approx(
        prompts * 2.0 / servers
    )


def test_no_time_beats_the_bound_and_the_rest_is_the_last_chunk() -> None:
    bound = 100_000 * 2.0 / 24
    assert bound <= seconds(100_000, 24, given()) <= bound + 2 * 67 * 2.0


@pytest.mark.parametrize(
    ("slow", "expected"),
    [
        ({"driver_s_per_prompt": 0.1}, "driver"),
        ({"bytes_per_record": 1e6, "store_bytes_per_s": 1e7}, "store"),
    ],
)
def test_beyond_a_point_servers_do_not_help(slow: dict[str, float], expected: str) -> None:
    row = capacity.simulate(200_000, 256, given(**slow))
    assert row["bottleneck"] == expected
    assert row["hours"] * 3600 == pytest.approx(200_000 * 0.1, rel=0.02)
    assert capacity.simulate(200_000, 4, given(**slow))["bottleneck"] == "servers"


def test_stragglers_cost_what_they_add_on_average() -> None:
    found = seconds(2_000_000, 8, given(straggle=0.05, straggle_times=3.0))
    assert found == pytest.approx(2_000_000 * 2.0 / 8 * (1 + 0.05 * 2), rel=0.02)


def test_failures_cost_the_restart_and_half_a_chunk() -> None:
    mtbf_h, restart, chunk_s = 1.0, 300.0, 64 * 2.0
    row = capacity.simulate(2_000_000, 8, given(server_mtbf_hours=mtbf_h, restart_s=restart))
    plain = 2_000_000 * 2.0 / 8
    expected = plain * (1 + (restart + chunk_s / 2) / (mtbf_h * 3600))
    assert row["hours"] * 3600 == pytest.approx(expected, rel=0.02)
    assert row["failures"] == pytest.approx(8 * plain / 3600, rel=0.1)


def test_blocks_change_the_totals_little() -> None:
    """Simulating several chunks as one is an approximation; this is how good it is."""
    rough, fine = (
        seconds(200_000, 8, capacity.Assumptions({"only": 2.0}, blocks=blocks))
        for blocks in (300, 10**6)
    )
    assert rough == pytest.approx(fine, rel=0.02)


def test_same_seed_same_figures() -> None:
    assumed = capacity.Assumptions({"a": 2.0, "b": 0.1})
    assert capacity.simulate(10**6, 16, assumed) == capacity.simulate(10**6, 16, assumed)
    assert capacity.simulate(10**6, 16, assumed) != capacity.simulate(10**6, 16, assumed, seed=1)


def test_rates_come_from_a_run_or_the_page_of_results(tmp_path: Path) -> None:
    found = capacity.measured(None)
    assert set(found) == {"critique", "pairs", "feedback", "evaluate"}
    counts = {"critique_redteam": 10, "pairs_redteam": 5, "pairs_benign": 15}
    said = {"seconds": {"critique": 30, "pairs": 10}, "recipe": {"prompts": counts}}
    (tmp_path / "summary.json").write_text(json.dumps(said))
    assert capacity.measured(tmp_path / "summary.json") == {"critique": 3.0, "pairs": 0.5}


def test_the_command_prints_its_assumptions(tmp_path: Path) -> None:
    rates = tmp_path / "rates.json"
    rates.write_text(json.dumps({"seconds_per_prompt": {"critique": 0.5}, "straggle": 0.0}))
    command = [sys.executable, str(FILE), "--rates", str(rates), "--prompts", "1e5"]
    done = subprocess.run(
        [*command, "--servers", "4", "--json"], capture_output=True, text=True, check=True
    )
    printed = json.loads(done.stdout)
    assert printed["assumptions"]["straggle"] == 0.0
    (row,) = printed["rows"]
    assert row["efficiency"] > 0.95 and row["bottleneck"] == "servers"
    rates.write_text('{"stragle": 0.0}')
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 1 and "no such fields: stragle" in refused.stderr
