"""What the Anthropic model sends, and how it reads what comes back."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from charter.errors import InputError, ModelError
from charter.models.anthropic import AnthropicModel
from charter.models.endpoint import EndpointConfig, address
from charter.records import ChoiceModel, Message, Model, Request, Sampling

from .faulty_server import DROPPED, MALFORMED, Fault, FaultyServer, refused


def ask(text: str, sampling: Sampling | None = None) -> Request:
    talk = (Message("system", "Be brief."), Message("user", text))
    return Request(talk, sampling or Sampling(max_tokens=9), 1)


@pytest.fixture
def model(server: FaultyServer) -> Iterator[AnthropicModel]:
    config = EndpointConfig(backoff_s=0.01, retries=2)
    url = server.url.removesuffix("/v1")  # this SDK adds the version itself
    opened = AnthropicModel(address(f"anthropic:c@{url}"), config, rng=random.Random(0))
    yield opened
    opened.close()


def test_it_gives_text_and_no_likelihoods(model: AnthropicModel) -> None:
    assert isinstance(model, Model) and not isinstance(model, ChoiceModel)
    assert model.identity.startswith("anthropic:c@")


def test_a_request_goes_over_the_wire_whole(model: AnthropicModel, server: FaultyServer) -> None:
    (made,) = model.generate([ask("hello", Sampling(max_tokens=9, temperature=0.5))])
    assert (made.text, made.tokens, made.finish) == ("echo: hello", 2, "stop")
    assert server.bodies == [
        {
            "model": "c",
            "max_tokens": 9,
            "system": "Be brief.",
            "messages": [{"role": "user", "content": "hello"}],
            "temperature": 0.5,
        }
    ]
    assert server.keys == ["sk-ant-planted-secret"]


def test_the_apis_own_settings_are_not_sent(model: AnthropicModel, server: FaultyServer) -> None:
    model.generate([ask("hello")])
    assert server.bodies[0].keys() == {"model", "max_tokens", "system", "messages"}


def test_a_setting_that_it_does_not_have_is_refused(model: AnthropicModel) -> None:
    with pytest.raises(InputError, match="repetition_penalty"):
        model.generate([ask("hello", Sampling(repetition_penalty=1.1))])


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (refused(429), "rate_limited"),
        (refused(529), "server_error"),
        (DROPPED, "connection"),
        (MALFORMED, "malformed"),
        (Fault(body='{"content": "x"}'), "malformed"),
    ],
)
def test_faults_are_retried_and_have_reasons(
    model: AnthropicModel, server: FaultyServer, fault: Fault, reason: str
) -> None:
    server.faults = [fault]
    assert model.generate([ask("a")])[0].text == "echo: a"
    assert len(server.bodies) == 2
    server.always = fault
    assert model.generate([ask("b")])[0].failure == reason


def test_the_end_of_an_answer(model: AnthropicModel, server: FaultyServer) -> None:
    server.faults = [Fault(finish="max_tokens", text="half a")]
    assert model.generate([ask("a")])[0].finish == "length"
    server.faults = [Fault(finish="max_tokens", text="")]
    assert model.generate([ask("b")])[0].failure == "truncated"
    server.faults = [Fault(finish="refusal", text="")]
    assert model.generate([ask("c")])[0].failure == "content_filter"


def test_a_refused_key_ends_the_run(model: AnthropicModel, server: FaultyServer) -> None:
    server.always = refused(401)
    with pytest.raises(ModelError, match="ANTHROPIC_API_KEY"):
        model.generate([ask("a")])


def test_the_key_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with pytest.raises(InputError, match="ANTHROPIC_API_KEY"):
        AnthropicModel(address("anthropic:c"), EndpointConfig())
