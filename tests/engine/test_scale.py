"""The scale benchmark: its figures mean what they say, and at a tiny size nothing is lost."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "scale.py"


def _loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_scale", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # work that travels to a worker is looked up by module
    spec.loader.exec_module(module)
    return module


scale = _loaded()


def test_a_rate_counts_from_the_warm_up_to_the_last_chunk() -> None:
    # Two slow chunks, then four in two seconds.
    assert scale.rate([10.0, 20.0, 20.5, 21.0, 21.5, 22.0], warm=2) == 2.0


def test_the_stage_keeps_every_prompt_and_tells_each_chunk(tmp_path: Path) -> None:
    stage, times = scale.stage_run(tmp_path / "run", 100, scale.Stub(0.0), 1024.0)
    lines = scale.lines(stage)
    assert len(lines) == len(set(lines)) == stage.manifest.kept == 100
    assert len(times) == 3  # chunks of 48
    again, _ = scale.stage_run(tmp_path / "again", 100, scale.Stub(0.0), 1024.0)
    assert scale.lines(again) == lines


@pytest.mark.exhaustive
def test_the_figures_at_a_tiny_size(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="the ray extra is not installed")
    ray.cloudpickle.register_pickle_by_value(scale)  # as a script it would travel by value too
    sizes = {"small": 100, "large": 200, "chunks": 8, "warm": 2, "delay": 0.1, "shard_mb": 1024.0}
    found = scale.measure(argparse.Namespace(**sizes), tmp_path)
    assert (found["lost"], found["duplicated"], found["same_bytes"]) == (0, 0, True)
    assert found["worker_killed"]
    assert 10 < found["rss_10k_mb"] < 200  # of a process of its own, and not of this one
    assert found["rss_ratio"] == pytest.approx(1.0, abs=0.2)
    assert {"ray_overhead_fraction", "speedup_2_workers", "ray_start_s"} <= set(found)
