"""Caps: what is set aside, what is settled, and when the run ends."""

from __future__ import annotations

import pytest

from charter.errors import InputError, ModelError
from charter.models.endpoint import EndpointConfig, Price
from charter.models.failures import Usage
from charter.models.spend import Ledger, likely_tokens
from charter.records import Message

CALL = Usage(30, 20)


def test_without_a_cap_everything_goes() -> None:
    ledger = Ledger(EndpointConfig())
    assert all(ledger.reserve("m", Usage(10**9, 10**9)) for _ in range(3))


def test_calls_under_way_are_counted_and_waited_for() -> None:
    ledger = Ledger(EndpointConfig(max_tokens_spent=100))
    assert ledger.reserve("m", CALL) and ledger.reserve("m", CALL)
    assert not ledger.reserve("m", CALL)
    ledger.settle("m", CALL, Usage(30, 1))
    assert not ledger.reserve("m", CALL)
    ledger.settle("m", CALL, Usage(0, 0))
    assert ledger.reserve("m", CALL)
    assert ledger.tokens() == 31


def test_with_nothing_under_way_the_cap_ends_the_run() -> None:
    ledger = Ledger(EndpointConfig(max_tokens_spent=49))
    with pytest.raises(ModelError, match=r"0 tokens of endpoint\.max_tokens_spent=49"):
        ledger.reserve("m", CALL)


def test_earlier_runs_and_other_models_count() -> None:
    ledger = Ledger(EndpointConfig(max_tokens_spent=100), {"m": (20, 10), "other": (20, 10)})
    assert ledger.tokens() == 60
    with pytest.raises(ModelError, match="60 tokens"):
        ledger.reserve("m", CALL)


def test_money_goes_by_price_and_direction() -> None:
    prices = {"m": Price(1.0, 5.0), "cheap": Price(0.0, 0.0)}
    ledger = Ledger(EndpointConfig(max_money=2.0, prices=prices))
    assert ledger.reserve("m", CALL)
    ledger.settle("m", CALL, Usage(1_000_000, 100_000))
    assert ledger.money() == pytest.approx(1.5)
    assert ledger.reserve("cheap", Usage(10**9, 10**9))
    ledger.settle("cheap", Usage(10**9, 10**9), Usage(10**9, 0))
    with pytest.raises(ModelError, match=r"1.5000 of endpoint.max_money=2.0"):
        ledger.reserve("m", Usage(0, 100_001))


def test_a_model_without_a_price_cannot_be_counted_in_money() -> None:
    config = EndpointConfig(max_money=1.0, prices={"m": Price(1.0, 1.0)})
    config.admit("m")
    EndpointConfig().admit("other")
    with pytest.raises(InputError, match="price of 'other'"):
        config.admit("other")


def test_a_likely_cost_grows_with_the_text() -> None:
    talk = [Message("user", "x" * 400)]
    assert likely_tokens(talk, 64) == Usage(108, 64)
    assert likely_tokens([*talk, *talk], 64).read == 216
