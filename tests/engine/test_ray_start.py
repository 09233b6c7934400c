"""Starting Ray: what a failed start leaves behind is cleared away, and another one is tried."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from charter.errors import WorkError

ray = pytest.importorskip("ray", reason="the ray extra is not installed")

from ray._private.node import Node  # noqa: E402 - only where Ray is

from charter.engine import ray_start  # noqa: E402 - only where Ray is

STARTED: list[subprocess.Popen[bytes]] = []


class LateNode(Node):  # type: ignore[misc]
    """Starts two processes, as Ray's own does, and finds that they take too long."""

    def __init__(self) -> None:
        wait = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
        STARTED.extend(subprocess.Popen(wait) for _ in range(2))
        pairs = zip(("gcs_server", "raylet"), STARTED[-2:], strict=True)
        self.all_processes = {kind: [SimpleNamespace(process=p)] for kind, p in pairs}
        raise Exception("The current node timed out during startup")


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each start to come fails; all others work."""
    STARTED.clear()
    fails: list[bool] = []

    def init(**options: Any) -> None:
        assert (options["address"], options["object_store_memory"]) == ("local", 80 << 20)
        if fails.pop(0):
            LateNode()

    monkeypatch.setattr(ray, "init", init)
    return fails


def test_a_start_that_takes_too_long_is_cleared_away_and_tried_again(late: list[bool]) -> None:
    late += [True, False]
    ray_start.start(80)
    assert late == []
    assert len(STARTED) == 2
    assert all(process.returncode is not None for process in STARTED)


def test_a_ray_that_never_comes_up_is_a_clear_error_and_leaves_no_process(
    late: list[bool],
) -> None:
    late += [True] * 3
    with pytest.raises(WorkError, match=r"failed 3 times: Exception: The current node timed out"):
        ray_start.start(80)
    assert len(STARTED) == 6
    assert all(process.returncode is not None for process in STARTED)


def test_a_cluster_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_options: Any) -> None:
        raise ConnectionError("nobody listens")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(WorkError, match=r"joining Ray at 'head:6379'.*nobody listens"):
        ray_start.join("head:6379")
