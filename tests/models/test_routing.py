"""Which server is taken, on a clock that the test turns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TypeVar

import pytest

from charter.models.endpoint import EndpointConfig
from charter.models.failures import AttemptError
from charter.models.routing import Router, Server

T = TypeVar("T")


class Clock:
    """Sleeping moves it; nothing waits."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def router(clock: Clock, *names: str, **settings: float) -> Router[str]:
    config = EndpointConfig(**{"backoff_s": 1.0, "max_wait_s": 60.0, **settings})  # type: ignore[arg-type]
    return Router(names, config, jitter=lambda: 0.0, clock=lambda: clock.now)


def run(work: Callable[[], Awaitable[T]]) -> T:
    async def go() -> T:
        return await work()

    return asyncio.run(go())


async def one(servers: Router[str], clock: Clock) -> Server[str]:
    async with servers.lease(clock.sleep) as server:
        return server


def test_turns_are_taken_where_load_is_equal() -> None:
    clock = Clock()
    servers = router(clock, "a", "b")

    async def go() -> list[str]:
        return [(await one(servers, clock)).client for _ in range(4)]

    assert run(go) == ["a", "b", "a", "b"]


def test_the_least_loaded_one_is_taken() -> None:
    clock = Clock()
    servers = router(clock, "a", "b")

    async def go() -> list[str]:
        async with servers.lease(clock.sleep) as first:
            return [first.client, *[(await one(servers, clock)).client for _ in range(3)]]

    assert run(go) == ["a", "b", "b", "b"]


def test_a_server_that_failed_is_left_alone_for_longer_and_longer() -> None:
    clock = Clock()
    servers = router(clock, "a")

    async def go() -> None:
        for _ in range(4):
            servers.failed(await one(servers, clock), AttemptError("server_error"))
        servers.worked(await one(servers, clock))
        servers.failed(await one(servers, clock), AttemptError("connection"))
        await one(servers, clock)

    run(go)
    assert clock.slept == [1.0, 2.0, 4.0, 8.0, 1.0]


def test_a_server_that_failed_is_tried_by_one_call_at_a_time() -> None:
    clock = Clock()
    servers = router(clock, "a", "b")

    async def go() -> list[str]:
        servers.failed(await one(servers, clock), AttemptError("server_error"))
        clock.now += 1.0
        servers.servers[1].turns = 9
        async with (
            servers.lease(clock.sleep) as first,
            servers.lease(clock.sleep) as second,
            servers.lease(clock.sleep) as third,
        ):
            return [first.client, second.client, third.client]

    assert run(go) == ["a", "b", "b"]


def test_a_call_that_failed_goes_elsewhere() -> None:
    clock = Clock()
    servers = router(clock, "a", "b")

    async def go() -> list[str]:
        first = await one(servers, clock)
        async with servers.lease(clock.sleep, [first]) as second:
            pass
        async with servers.lease(clock.sleep, [first, second, second]) as third:
            return [first.client, second.client, third.client]

    assert run(go) == ["a", "b", "a"]


def test_failing_together_is_one_strike() -> None:
    clock = Clock()
    servers = router(clock, "a")

    async def go() -> None:
        server = await one(servers, clock)
        for _ in range(5):
            servers.failed(server, AttemptError("timeout"))
        await one(servers, clock)

    run(go)
    assert clock.slept == [1.0]


def test_a_pause_that_was_asked_for_sends_calls_elsewhere() -> None:
    clock = Clock()
    servers = router(clock, "a", "b")

    async def go() -> list[str]:
        servers.failed(await one(servers, clock), AttemptError("rate_limited", retry_after=30.0))
        return [(await one(servers, clock)).client for _ in range(3)]

    assert run(go) == ["b", "b", "b"]
    assert clock.slept == []


def test_if_all_are_paused_the_soonest_is_waited_for() -> None:
    clock = Clock()
    servers = router(clock, "a", "b")

    async def go() -> str:
        for seconds in (30.0, 20.0):
            refusal = AttemptError("rate_limited", retry_after=seconds)
            servers.failed(await one(servers, clock), refusal)
        return (await one(servers, clock)).client

    assert run(go) == "b"
    assert clock.slept == [20.0]


def test_a_pause_beyond_the_longest_wait_is_a_failure() -> None:
    clock = Clock()
    servers = router(clock, "a", max_wait_s=10.0)

    async def go() -> None:
        servers.failed(await one(servers, clock), AttemptError("rate_limited", retry_after=11.0))
        await one(servers, clock)

    with pytest.raises(AttemptError, match="asked to wait 11 s"):
        run(go)


def test_a_failure_of_the_call_does_not_speak_against_the_server() -> None:
    clock = Clock()
    servers = router(clock, "a")

    async def go() -> None:
        for reason in ("malformed", "bad_request", "truncated"):
            servers.failed(await one(servers, clock), AttemptError(reason))
        await one(servers, clock)

    run(go)
    assert clock.slept == []


def homes(servers: Router[str]) -> dict[str, str]:
    found = {}
    for name in map(str, range(60)):
        home = servers._home(name)
        assert home is not None
        found[name] = home.client
    return found


def test_a_prefix_stays_with_its_server_while_that_one_is_not_much_busier() -> None:
    clock = Clock()
    servers = router(clock, "a", "b", concurrency=8)  # so two calls more are not much
    prefix = next(name for name, client in homes(servers).items() if client == "b")

    async def go() -> list[str]:
        async with AsyncExitStack() as open_:
            taken = [
                await open_.enter_async_context(servers.lease(clock.sleep, prefix=prefix))
                for _ in range(5)
            ]
            return [server.client for server in taken]

    assert run(go) == ["b", "b", "a", "b", "a"]


def test_a_prefix_goes_elsewhere_while_its_server_is_left_alone() -> None:
    clock = Clock()
    servers = router(clock, "a", "b", concurrency=8)
    prefix = next(name for name, client in homes(servers).items() if client == "a")

    async def go() -> list[str]:
        async with servers.lease(clock.sleep, prefix=prefix) as first:
            servers.failed(first, AttemptError("connection"))
        async with servers.lease(clock.sleep, prefix=prefix) as second:
            return [first.client, second.client]

    assert run(go) == ["a", "b"]


def test_most_prefixes_stay_where_they_are_when_a_server_is_added() -> None:
    clock = Clock()
    before, after = homes(router(clock, "a", "b")), homes(router(clock, "a", "b", "c"))
    assert set(before.values()) == {"a", "b"}
    assert {after[name] for name in before if after[name] != before[name]} == {"c"}


def test_each_server_has_slots_of_its_own() -> None:
    clock = Clock()
    servers = router(clock, "a", "b", concurrency=2)
    busiest = {"a": 0, "b": 0}

    async def call() -> None:
        async with servers.lease(clock.sleep) as server:
            under_way = 2 - server.slots._value
            busiest[server.client] = max(busiest[server.client], under_way)
            await asyncio.sleep(0)

    async def go() -> None:
        await asyncio.gather(*(call() for _ in range(20)))

    run(go)
    assert busiest == {"a": 2, "b": 2}
