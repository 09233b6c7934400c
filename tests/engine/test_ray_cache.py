"""What stands for the call cache in a worker: it must take whatever the cache takes."""

from __future__ import annotations

import inspect

import pytest

from charter.cache import CallCache

pytest.importorskip("ray", reason="the ray extra is not installed")

from charter.engine.ray_cache import RemoteCache

KEPT_BY_THE_DRIVER = {"close"}


def methods(kind: type) -> dict[str, list[str]]:
    """Public methods, with the names and kinds of their arguments."""
    return {
        name: [f"{p.kind.name} {p}" for p in inspect.signature(method).parameters.values()]
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") and name not in KEPT_BY_THE_DRIVER
    }


def names(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """Without annotations, which may be aliases."""
    return {name: [one.partition(":")[0] for one in given] for name, given in found.items()}


def test_a_worker_may_call_the_cache_as_the_driver_does() -> None:
    assert names(methods(RemoteCache)) == names(methods(CallCache))
    assert "KEYWORD_ONLY cached" in names(methods(CallCache))["put"]
