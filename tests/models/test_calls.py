"""Remote calls against a real server that fails in every way that servers fail."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from charter.cache import CachedModel, CallCache
from charter.errors import ModelError, WorkError
from charter.models.endpoint import Address, EndpointConfig, Price, address
from charter.models.openai import OpenAIModel
from charter.models.spend import Ledger
from charter.records import Message, Request, Sampling

from .faulty_server import (
    DROPPED,
    HTML,
    MALFORMED,
    NO_CHOICES,
    Fault,
    FaultyServer,
    refused,
    serving,
)

Connect = Callable[..., OpenAIModel]


def ask(text: str, *, seed: int = 0, max_tokens: int = 20) -> Request:
    return Request((Message("user", text),), Sampling(max_tokens=max_tokens), seed)


def asks(count: int) -> list[Request]:
    return [ask(f"q{number}") for number in range(count)]


@pytest.fixture
def connect(server: FaultyServer) -> Iterator[Connect]:
    """Connects to the server with short waits; everything is closed at the end."""
    with ExitStack() as opened:

        def model(
            cache: CallCache | None = None,
            urls: tuple[str, ...] = (),
            ledger: Ledger | None = None,
            **settings: Any,
        ) -> OpenAIModel:
            quick: dict[str, Any] = {"backoff_s": 0.01, "retries": 3, "timeout_s": 5.0}
            where = Address("openai", "m", urls or (server.url,))
            config = EndpointConfig(**{**quick, **settings})
            made = OpenAIModel(where, config, cache=cache, ledger=ledger, rng=random.Random(0))
            opened.callback(made.close)
            return made

        yield model


@pytest.fixture
def calls(tmp_path: Path) -> CallCache:
    return CallCache(tmp_path / "calls.sqlite")


def test_answers_come_in_the_order_of_the_requests(connect: Connect, server: FaultyServer) -> None:
    made = connect().generate(asks(20))
    assert [c.text for c in made] == [f"echo: q{n}" for n in range(20)]
    assert {c.finish for c in made} == {"stop"}
    assert made[0].tokens == 2
    assert len(server.bodies) == 20


def test_no_more_calls_are_under_way_than_allowed(connect: Connect, server: FaultyServer) -> None:
    server.work_s = 0.02
    connect(concurrency=3).generate(asks(12))
    assert server.busiest == 3


def test_equal_calls_are_made_once(connect: Connect, server: FaultyServer) -> None:
    made = connect().generate([ask("a"), ask("b"), ask("a")])
    assert [c.text for c in made] == ["echo: a", "echo: b", "echo: a"]
    assert sorted(server.asked) == ["a", "b"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (refused(429), "rate_limited"),
        (refused(500), "server_error"),
        (refused(503), "server_error"),
        (refused(529), "server_error"),
        (refused(408), "timeout"),
        (DROPPED, "connection"),
        (MALFORMED, "malformed"),
        (HTML, "malformed"),
        (NO_CHOICES, "malformed"),
    ],
)
def test_a_passing_fault_is_retried_and_a_lasting_one_has_a_reason(
    connect: Connect, server: FaultyServer, fault: Fault, reason: str
) -> None:
    server.faults = [fault, fault]
    assert connect().generate([ask("a")])[0].text == "echo: a"
    assert len(server.bodies) == 3
    server.always = fault
    (failed,) = connect().generate([ask("b")])
    assert (failed.finish, failed.failure, failed.text) == ("error", reason, "")
    assert server.asked.count("b") == 4  # one attempt and three retries


def test_a_slow_answer_is_a_timeout(connect: Connect, server: FaultyServer) -> None:
    server.always = Fault(delay_s=5.0)
    started = time.monotonic()
    (failed,) = connect(timeout_s=0.1, retries=1).generate([ask("a")])
    assert failed.failure == "timeout"
    assert len(server.bodies) == 2
    assert time.monotonic() - started < 3


def test_a_server_that_is_not_there_is_a_connection_failure(connect: Connect) -> None:
    (failed,) = connect(urls=("http://127.0.0.1:9/v1",), retries=1).generate([ask("a")])
    assert failed.failure == "connection"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (refused(400, "prompt too long"), "bad_request"),
        (refused(422), "bad_request"),
        (Fault(finish="content_filter", text="x"), "content_filter"),
        (Fault(finish="length", text=""), "truncated"),
    ],
)
def test_what_another_attempt_would_not_change_is_not_retried(
    connect: Connect, server: FaultyServer, fault: Fault, reason: str
) -> None:
    server.faults = [fault]
    failed, fine = connect(concurrency=1).generate([ask("a"), ask("b")])
    assert (failed.finish, failed.failure) == ("error", reason)
    assert fine.text == "echo: b"
    assert len(server.bodies) == 2


def test_a_cut_answer_is_an_answer_that_says_so(connect: Connect, server: FaultyServer) -> None:
    server.faults = [Fault(finish="length", text="half a")]
    (made,) = connect().generate([ask("a")])
    assert (made.text, made.finish, made.failure) == ("half a", "length", "")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (refused(401, "bad key sk-planted-secret"), "auth"),
        (refused(403), "auth"),
        (refused(404), "unknown_model"),
        (refused(402), "quota"),
        (refused(429, "insufficient_quota"), "quota"),
    ],
)
def test_what_no_call_would_escape_ends_the_run(
    connect: Connect, server: FaultyServer, fault: Fault, said: str
) -> None:
    server.always = fault
    with pytest.raises(ModelError, match=said) as caught:
        connect(concurrency=2).generate(asks(50))
    assert len(server.bodies) <= 2
    assert "planted-secret" not in str(caught.value)


def test_retry_after_is_honoured_by_every_call(connect: Connect, server: FaultyServer) -> None:
    server.faults = [refused(429, retry_after="0.3")]
    made = connect(concurrency=1).generate(asks(3))
    assert {c.finish for c in made} == {"stop"}
    assert server.arrivals[1] - server.arrivals[0] >= 0.3


def test_a_storm_of_refusals_passes(connect: Connect, server: FaultyServer) -> None:
    server.faults = [refused(429, retry_after_ms="30")] * 25
    made = connect(retries=6).generate(asks(40))
    assert [c.text for c in made] == [f"echo: q{n}" for n in range(40)]
    assert len(server.bodies) == 65


def test_a_wait_that_is_too_long_is_a_failure(connect: Connect, server: FaultyServer) -> None:
    server.always = refused(429, retry_after="3600")
    started = time.monotonic()
    (failed,) = connect(max_wait_s=1.0).generate([ask("a")])
    assert failed.failure == "rate_limited"
    assert time.monotonic() - started < 3
    assert len(server.bodies) == 1


def test_an_allowance_that_is_used_up_makes_the_next_call_wait(
    connect: Connect, server: FaultyServer
) -> None:
    used_up = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "300ms"}
    server.faults = [Fault(headers=used_up)]
    connect(concurrency=1).generate(asks(2))
    assert server.arrivals[1] - server.arrivals[0] >= 0.3


def test_after_an_outage_every_paid_answer_is_kept(
    connect: Connect, server: FaultyServer, calls: CallCache
) -> None:
    server.faults, server.always = [Fault()] * 12, refused(503)
    broken = connect(calls, concurrency=4, retries=1, give_up_after=3)
    with pytest.raises(WorkError, match=r"3 calls in a row failed .* run again"):
        broken.generate(asks(100))
    answered, before = 12, len(server.bodies)
    assert before < 100  # it stopped trying, far from two attempts at every call
    server.always = None
    made = connect(calls).generate(asks(100))
    assert [c.text for c in made] == [f"echo: q{n}" for n in range(100)]
    assert len(server.bodies) - before == 100 - answered


def test_answers_outlive_a_process_that_dies_in_the_middle(
    connect: Connect, server: FaultyServer, tmp_path: Path
) -> None:
    """Each answer is stored when it arrives: another reader sees it while the batch goes on."""
    server.faults = [Fault(), Fault(), Fault(delay_s=1.5)]
    writer = CallCache(tmp_path / "calls.sqlite")
    model = connect(writer, concurrency=1)
    batch = threading.Thread(target=lambda: model.generate(asks(3)))
    batch.start()
    reader, until = CallCache(tmp_path / "calls.sqlite"), time.monotonic() + 1.4
    while reader.spent() != {"m": (20, 4)} and time.monotonic() < until:
        time.sleep(0.02)
    assert reader.spent() == {"m": (20, 4)}
    assert batch.is_alive()
    batch.join()


def test_a_failed_call_is_not_remembered(
    connect: Connect, server: FaultyServer, calls: CallCache
) -> None:
    model = CachedModel(connect(calls, retries=0), calls)
    server.faults = [refused(500)]
    assert model.generate([ask("a")])[0].finish == "error"
    assert model.generate([ask("a")])[0].text == "echo: a"
    assert model.generate([ask("a")])[0].text == "echo: a"
    assert len(server.bodies) == 2


def test_failures_far_apart_are_no_outage(connect: Connect, server: FaultyServer) -> None:
    server.faults = [refused(500), Fault()] * 6
    made = connect(concurrency=1, retries=0, give_up_after=2).generate(asks(12))
    assert sorted(c.finish for c in made) == ["error"] * 6 + ["stop"] * 6


def test_a_cap_in_tokens_ends_the_run_and_keeps_what_was_paid(
    connect: Connect, server: FaultyServer, calls: CallCache
) -> None:
    # Ten read and two written a call, by the server's count.
    capped = {"concurrency": 1, "max_tokens_spent": 100}
    with pytest.raises(ModelError, match=r"spend cap .*tokens of endpoint.max_tokens_spent=100"):
        connect(calls, **capped).generate(asks(20))
    paid = len(server.bodies)
    assert calls.spent() == {"m": (10 * paid, 2 * paid)}
    assert 4 <= paid <= 8 and 12 * paid <= 100
    # The same cap again, over the same folder: nothing more is spent.
    config = EndpointConfig(max_tokens_spent=100)
    with pytest.raises(ModelError, match="spend cap"):
        connect(calls, ledger=Ledger(config, calls.spent())).generate(asks(20))
    assert len(server.bodies) == paid
    made = connect(calls).generate(asks(20))
    assert len({c.text for c in made}) == 20
    assert len(server.bodies) == 20


def test_calls_side_by_side_do_not_pass_the_cap_together(
    connect: Connect, server: FaultyServer, calls: CallCache
) -> None:
    server.work_s = 0.02
    with pytest.raises(ModelError, match="spend cap"):
        connect(calls, concurrency=16, max_tokens_spent=200).generate(asks(100))
    assert sum(calls.spent()["m"]) <= 200
    assert len(server.bodies) >= 10  # and they wait for each other instead of ending too early


def test_a_cap_in_money(connect: Connect, server: FaultyServer, calls: CallCache) -> None:
    # A call costs 10 x 1 + 2 x 10 = 30 millionths.
    prices = {"m": Price(input=1.0, output=10.0)}
    with pytest.raises(ModelError, match=r"of endpoint.max_money=0.001"):
        connect(calls, concurrency=1, max_money=0.001, prices=prices).generate(asks(100))
    assert 20 <= len(server.bodies) <= 33


def test_a_timeout_counts_as_what_it_would_have_cost(
    connect: Connect, server: FaultyServer, calls: CallCache
) -> None:
    server.always = Fault(delay_s=5.0)
    connect(calls, timeout_s=0.05, retries=1).generate([ask("a", max_tokens=20)])
    assert calls.spent() == {"m": (2 * 8, 2 * 20)}


def test_another_server_takes_over(server: FaultyServer, connect: Connect) -> None:
    with serving() as spare:
        server.always = refused(503)
        model = connect(urls=(server.url, spare.url), retries=2)
        made = model.generate(asks(30))
        assert [c.text for c in made] == [f"echo: q{n}" for n in range(30)]
        assert len(spare.bodies) == 30
        assert len(server.bodies) <= 12  # the first ones under way, and a trial now and then


def test_load_is_shared_by_servers(server: FaultyServer, connect: Connect) -> None:
    with serving() as other:
        server.work_s = other.work_s = 0.01
        model = connect(urls=(server.url, other.url), concurrency=2)
        assert model.concurrency == 4
        model.generate(asks(40))
        assert len(server.bodies) + len(other.bodies) == 40
        assert min(len(server.bodies), len(other.bodies)) >= 12


def test_closing_twice_is_harmless_and_leaves_no_thread(server: FaultyServer) -> None:
    before = threading.active_count()
    model = OpenAIModel(address(f"openai:m@{server.url}"), EndpointConfig())
    model.generate([ask("a")])
    model.close()
    model.close()
    assert threading.active_count() == before


def test_several_threads_may_ask_one_model(
    connect: Connect, server: FaultyServer, calls: CallCache
) -> None:
    model, found = connect(calls), {}

    def work(name: str) -> None:
        found[name] = [c.text for c in model.generate([ask(f"{name}{n}") for n in range(5)])]

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: [f"echo: {name}{n}" for n in range(5)] for name in "abcd"}
