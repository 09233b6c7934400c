"""Which models a name stands for, and who may have which."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from charter.cache import CallCache
from charter.errors import InputError, ModelError
from charter.models import providers
from charter.models.endpoint import EndpointConfig, address
from charter.models.hf import HFModel
from charter.models.loading import Models
from charter.records import Checkpoint, Message, Request, Sampling

from .faulty_server import FaultyServer

ASK = [Request((Message("user", "hello"),), Sampling(max_tokens=4), 0)]


@pytest.fixture
def models(server: FaultyServer, tmp_path: Path) -> Iterator[Models]:
    opened = Models(endpoint=EndpointConfig(), cache=CallCache(tmp_path / "calls.sqlite"))
    yield opened
    opened.close()


def remote(server: FaultyServer) -> Checkpoint:
    return Checkpoint(f"openai:m@{server.url}")


def test_a_folder_is_loaded_and_an_endpoint_is_connected_to(
    models: Models, server: FaultyServer, tiny_model_folder: Path
) -> None:
    local = Checkpoint(str(tiny_model_folder))
    assert isinstance(models.get(local), HFModel)
    assert models.local(local) is models.get(local) is models.choices(local)
    far = models.get(remote(server))
    assert far.generate(ASK)[0].text == "echo: hello"
    assert models.get(remote(server)) is far
    assert models.lazily(remote(server)).identity == far.identity


def test_answers_and_their_cost_go_to_the_runs_cache(
    models: Models, server: FaultyServer, tmp_path: Path
) -> None:
    models.get(remote(server)).generate(ASK)
    models.get(remote(server)).generate(ASK)
    assert len(server.bodies) == 1
    assert CallCache(tmp_path / "calls.sqlite").spent() == {"m": (10, 2)}


def test_one_ledger_for_all_models_and_for_resumed_runs(
    models: Models, server: FaultyServer, tmp_path: Path
) -> None:
    models.get(remote(server)).generate(ASK)
    models.get(Checkpoint(f"openai:n@{server.url}")).generate(ASK)
    assert models.ledger.tokens() == 24
    again = Models(cache=CallCache(tmp_path / "calls.sqlite"))
    assert again.ledger.tokens() == 24


def test_weights_of_a_remote_model_cannot_be_had(models: Models, server: FaultyServer) -> None:
    with pytest.raises(InputError, match="its weights are needed here"):
        models.local(remote(server))
    with pytest.raises(InputError, match="adapters cannot be merged"):
        models.get(Checkpoint(remote(server).base, ("adapter",)))


def test_likelihoods_of_a_model_without_them_cannot_be_had(
    models: Models, server: FaultyServer
) -> None:
    with pytest.raises(InputError, match="the judge `votes`"):
        models.choices(Checkpoint(f"anthropic:c@{server.url}"))


def test_closing_ends_every_thread(server: FaultyServer) -> None:
    before = threading.active_count()
    opened = Models()
    for name in ("openai:m", "anthropic:m"):
        opened.get(Checkpoint(f"{name}@{server.url}"))
    assert threading.active_count() == before + 2
    opened.close()
    opened.close()
    assert threading.active_count() == before


def test_a_missing_sdk_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(providers._CLASSES, "openai", ("charter.models.not_there", "X"))
    with pytest.raises(ModelError, match=r"pip install 'charter-cai\[remote\]'"):
        providers.connect(address("openai:m"), EndpointConfig())
