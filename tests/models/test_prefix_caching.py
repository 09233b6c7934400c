"""Prompts are laid out so that a server's prefix cache hits, and the run says how often it did."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from charter import critique
from charter.cache import CallCache
from charter.constitution import document
from charter.critique import CritiqueConfig, CritiqueDeps, few_shots
from charter.models.endpoint import EndpointConfig, address
from charter.models.failures import Usage
from charter.models.openai import OpenAIModel
from charter.models.spend import spend
from charter.prompts.chains import worked_chains
from charter.records import Message, Prompt
from charter.store import RunFolder

from .faulty_server import Fault, FaultyServer, serving

CONVERSATION = [Message("user", "Which of the two answers is better? " + "a " * 400)]
SUFFIXES = [f"\nPrinciple {letter}: be kind." for letter in "ABCDEFGH"]


def connect(*servers: FaultyServer, cache: CallCache, concurrency: int = 1) -> OpenAIModel:
    where = address(f"openai:m@{','.join(s.url for s in servers)}")
    config = EndpointConfig(concurrency=concurrency, retries=1, backoff_s=0.01)
    return OpenAIModel(where, config, cache=cache)


@pytest.fixture
def calls(tmp_path: Path) -> CallCache:
    return CallCache(tmp_path / "calls.sqlite")


def test_principles_of_one_comparison_share_its_prefill(
    server: FaultyServer, calls: CallCache
) -> None:
    server.block = 16
    with closing(connect(server, cache=calls)) as model:
        model.choice_logprobs(CONVERSATION, SUFFIXES, ["A", "B"])
    start = len("<user>" + CONVERSATION[0].content)
    shared = (start + len("\nPrinciple ")) // 16 * 16
    assert calls.prefix_hits() == {"m": (len(SUFFIXES) - 1) * shared}
    read, written = calls.spent()["m"]
    told = spend(read, written, calls.prefix_hits()["m"])
    assert read == len(SUFFIXES) * (start + len(SUFFIXES[0]))
    assert told.hit_rate == pytest.approx(7 * shared / read) and told.hit_rate > 0.8


def test_a_server_that_tells_nothing_leaves_the_rate_unknown(
    server: FaultyServer, calls: CallCache
) -> None:
    with closing(connect(server, cache=calls)) as model:
        model.choice_logprobs(CONVERSATION, SUFFIXES, ["A", "B"])
    assert calls.prefix_hits() == {}
    assert spend(*calls.spent()["m"]).hit_rate is None


def test_sums_know_unknown_from_none() -> None:
    assert (Usage(10, 1) + Usage(5, 1)).cached is None
    assert (Usage(10, 1) + Usage(5, 1, 0)).cached == 0
    assert Usage(10, 1, 3) + Usage(5, 1, 4) == Usage(15, 2, 7)


def test_replicas_each_keep_their_own_prefixes(calls: CallCache) -> None:
    talks = [[Message("user", f"{n} " + CONVERSATION[0].content)] for n in range(12)]
    with serving() as one, serving() as two, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "sk-planted-secret")
        with closing(connect(one, two, cache=calls, concurrency=16)) as model:
            for talk in talks:
                model.choice_logprobs(talk, SUFFIXES[:3], ["A", "B"])
    homes = [{text.split()[0] for text in server.asked} for server in (one, two)]
    assert not homes[0] & homes[1], "one conversation was read by two servers"
    assert min(map(len, homes)) >= 2


def test_worked_examples_stand_first_and_what_varies_last(
    server: FaultyServer, calls: CallCache, tmp_path: Path
) -> None:
    constitution = document.load("default")
    shots = few_shots(worked_chains(), constitution, 4, 0)
    server.block = 16
    server.always = Fault(text="Here is one way to go about it that should hurt nobody at all.")
    prompts = [Prompt(f"p{n}", (Message("user", f"{n}. How?"),), kind="redteam") for n in range(6)]
    with closing(connect(server, cache=calls)) as model:
        folder = RunFolder(str(tmp_path)).stage("critique", "key")
        deps = CritiqueDeps(model, model, folder, shots=shots)
        critique.run(prompts, constitution, CritiqueConfig(rounds=1), deps=deps)
    asked = [body["messages"] for body in server.bodies if len(body["messages"]) > 1]
    fixed = [{"role": m.role, "content": m.content} for m in shots]
    assert len(asked) == 12 and all(talk[1 : 1 + len(fixed)] == fixed for talk in asked)
    # Alone, a critic's call reads about 8,000 characters; nearly all of them were there already.
    read, written = calls.spent()["m"]
    assert (spend(read, written, calls.prefix_hits()["m"]).hit_rate or 0.0) > 0.8
