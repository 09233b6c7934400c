"""What the OpenAI-compatible model sends, and how it reads what comes back."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

import pytest

from charter.cache import CallCache
from charter.errors import CallFailed, InputError, ModelError
from charter.models.endpoint import EndpointConfig, address
from charter.models.openai import OpenAIModel
from charter.records import ChoiceModel, Message, Model, Request, Sampling

from .faulty_server import FaultyServer, refused

QUICK: dict[str, Any] = {"backoff_s": 0.01, "retries": 1}
TALK = [Message("system", "Be fair."), Message("user", "Which one? ")]


@pytest.fixture
def model(server: FaultyServer) -> Iterator[OpenAIModel]:
    opened = OpenAIModel(
        address(f"openai:m@{server.url}"), EndpointConfig(**QUICK), rng=random.Random(0)
    )
    yield opened
    opened.close()


def test_it_is_what_it_says(model: OpenAIModel, server: FaultyServer) -> None:
    assert isinstance(model, Model) and isinstance(model, ChoiceModel)
    assert model.identity.startswith("openai:m@")
    assert str(server.port) not in model.identity


def test_a_request_goes_over_the_wire_whole(model: OpenAIModel, server: FaultyServer) -> None:
    sampling = Sampling(max_tokens=7, temperature=0.5, top_p=0.9)
    model.generate([Request(tuple(TALK), sampling, 2**40 + 5)])
    assert server.bodies == [
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "Be fair."},
                {"role": "user", "content": "Which one? "},
            ],
            "max_tokens": 7,
            "temperature": 0.5,
            "top_p": 0.9,
            "seed": 5,
        }
    ]
    assert server.keys == ["sk-planted-secret"]


def test_what_only_some_servers_know_is_sent_only_when_asked_for(
    model: OpenAIModel, server: FaultyServer
) -> None:
    model.generate([Request(tuple(TALK), Sampling(repetition_penalty=1.2), 0)])
    assert server.bodies[0]["repetition_penalty"] == 1.2
    assert "top_p" not in server.bodies[0]


def test_options_are_read_off_the_list(model: OpenAIModel, server: FaultyServer) -> None:
    rows = model.choice_logprobs(TALK, ["By kindness.", "By truth."], ["A", "B"])
    assert rows == [[-0.2, -1.9], [-0.2, -1.9]]
    assert sorted(server.asked) == ["Which one? By kindness.", "Which one? By truth."]
    body = server.bodies[0]
    assert (body["logprobs"], body["top_logprobs"], body["max_tokens"]) == (True, 20, 1)


def test_options_that_begin_alike_are_told_apart_by_the_next_token(
    model: OpenAIModel, server: FaultyServer
) -> None:
    server.top = [[(" (", -0.1), ("I", -3.0)], [("A", -0.5), ("B", -1.0)]]
    ((a, b),) = model.choice_logprobs(TALK, [""], ["(A)", "(B)"])
    assert a == pytest.approx(-0.6) and b == pytest.approx(-1.1)
    assert server.bodies[0]["max_tokens"] == 2


def test_no_option_listed_is_minus_infinity_also_out_of_the_cache(
    server: FaultyServer, tmp_path: Any
) -> None:
    server.top = [[("Well", -0.1)]]
    cache = CallCache(tmp_path / "calls.sqlite")
    for _ in range(2):
        model = OpenAIModel(address(f"openai:m@{server.url}"), EndpointConfig(), cache=cache)
        assert model.choice_logprobs(TALK, [""], ["A", "B"]) == [[-math.inf, -math.inf]]
        model.close()
    assert len(server.bodies) == 1


def test_the_older_text_api_gives_them_too(server: FaultyServer) -> None:
    config = EndpointConfig(logprobs="completions")
    model = OpenAIModel(address(f"openai:m@{server.url}"), config)
    assert model.choice_logprobs(TALK, ["By truth."], ["A", "B"]) == [[-0.2, -1.9]]
    model.close()
    assert server.bodies[0]["prompt"].endswith("User: Which one? By truth.\n\nAssistant:")


def test_a_server_without_logprobs_says_what_to_do(
    model: OpenAIModel, server: FaultyServer
) -> None:
    server.top = None
    with pytest.raises(ModelError, match="judge `votes`"):
        model.choice_logprobs(TALK, ["", "x"], ["A", "B"])


def test_a_server_that_refuses_logprobs_says_what_to_do(
    model: OpenAIModel, server: FaultyServer
) -> None:
    server.always = refused(400, "Unrecognized request argument: logprobs")
    with pytest.raises(ModelError, match="judge `votes`"):
        model.choice_logprobs(TALK, [""], ["A", "B"])
    assert len(server.bodies) == 1


def test_a_failed_reading_is_raised_with_its_reason_and_the_others_are_kept(
    server: FaultyServer, tmp_path: Any
) -> None:
    config = EndpointConfig(retries=0, concurrency=1)
    cache = CallCache(tmp_path / "calls.sqlite")
    model = OpenAIModel(address(f"openai:m@{server.url}"), config, cache=cache)
    server.faults = [refused(500)]
    with pytest.raises(CallFailed) as caught:
        model.choice_logprobs(TALK, ["x", "y", "z"], ["A", "B"])
    assert caught.value.reason == "server_error"
    assert len(model.choice_logprobs(TALK, ["x", "y", "z"], ["A", "B"])) == 3
    model.close()
    assert len(server.bodies) == 4


def test_the_key_is_needed_where_the_provider_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(InputError, match="OPENAI_API_KEY"):
        OpenAIModel(address("openai:gpt-x"), EndpointConfig())


def test_a_server_of_ones_own_needs_none(
    server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    model = OpenAIModel(address(f"openai:m@{server.url}"), EndpointConfig())
    assert model.generate([Request(tuple(TALK), Sampling(), 0)])[0].finish == "stop"
    model.close()


def test_a_cap_in_money_needs_a_price(server: FaultyServer) -> None:
    with pytest.raises(InputError, match=r"endpoint.prices.*price of .m."):
        OpenAIModel(address(f"openai:m@{server.url}"), EndpointConfig(max_money=1.0))
