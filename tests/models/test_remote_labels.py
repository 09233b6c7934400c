"""Labelling through an endpoint: failed calls are abstentions, outages end the run."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from charter import critique, feedback
from charter.cache import CallCache
from charter.constitution import document
from charter.constitution.document import Constitution
from charter.critique import CritiqueConfig, CritiqueDeps
from charter.errors import WorkError
from charter.feedback import FeedbackConfig, FeedbackDeps, PairsDeps
from charter.judging.multiple_choice import MultipleChoiceJudge
from charter.judging.votes import VotesJudge
from charter.models.endpoint import EndpointConfig, address
from charter.models.openai import OpenAIModel
from charter.records import (
    Abstention,
    Comparison,
    Labelled,
    Message,
    Origin,
    Prompt,
    Sampling,
    Verdict,
)
from charter.store import RunFolder

from .faulty_server import Fault, FaultyServer, refused


@pytest.fixture(scope="module")
def constitution() -> Constitution:
    return document.load("default")


def comparisons(count: int) -> list[Comparison]:
    origin = Origin("pairs", "test")
    return [
        Comparison(
            f"c{n}",
            Prompt(f"p{n}", (Message("user", f"Question {n}?"),), kind="redteam"),
            f"One answer to question {n}.",
            f"Another answer to question {n}.",
            origin,
        )
        for n in range(count)
    ]


def connect(server: FaultyServer, run: Path, **settings: float) -> OpenAIModel:
    config = {"concurrency": 4, "retries": 1, "backoff_s": 0.01, "give_up_after": 5, **settings}
    where = address(f"openai:m@{server.url}")
    cache = CallCache(run / "calls.sqlite")
    return OpenAIModel(where, EndpointConfig(**config), cache=cache)  # type: ignore[arg-type]


def questions(constitution: Constitution) -> dict[str, str]:
    return {p.id: p.comparison_question for p in constitution.principles}


def label(
    model: OpenAIModel, constitution: Constitution, run: Path, count: int, votes: bool = False
) -> list[Labelled]:
    """The labelling stage; the model is closed at its end, however it ends."""
    judge = (
        VotesJudge(model, questions(constitution), samples=3, sampling=Sampling(max_tokens=8))
        if votes
        else MultipleChoiceJudge(model, questions(constitution))
    )
    stage = RunFolder(str(run)).stage("feedback", "key")
    try:
        feedback.run(
            comparisons(count), constitution, FeedbackConfig(), deps=FeedbackDeps(judge, stage)
        )
    finally:
        model.close()
    return list(stage.log(Labelled))


def test_after_an_outage_a_run_goes_on_and_pays_for_nothing_twice(
    server: FaultyServer, constitution: Constitution, tmp_path: Path
) -> None:
    answered = 70
    server.faults, server.always = [Fault()] * answered, refused(503)
    with pytest.raises(WorkError, match="run again to go on"):
        label(connect(server, tmp_path), constitution, tmp_path, 60)
    assert not (tmp_path / "feedback" / "manifest.json").exists()
    before, server.always = len(server.bodies), None
    found = label(connect(server, tmp_path), constitution, tmp_path, 60)
    assert len(found) == 60
    assert all(isinstance(r.label, Verdict) for r in found)
    # Two orders a comparison; what was answered before the outage is not asked for again.
    assert len(server.bodies) - before == 120 - answered
    paid = [json.dumps(body) for body in (*server.bodies[:answered], *server.bodies[before:])]
    assert len(set(paid)) == 120


def test_a_call_that_fails_is_an_abstention_with_its_reason(
    server: FaultyServer, constitution: Constitution, tmp_path: Path
) -> None:
    server.faults = [refused(429)] * 2 + [refused(400, "too long")]
    model = connect(server, tmp_path, retries=0, concurrency=1)
    found = label(model, constitution, tmp_path, 8)
    missing = [r.label for r in found if isinstance(r.label, Abstention)]
    assert {m.reason for m in missing} == {"rate_limited", "bad_request"}
    assert len(missing) == 3
    manifest = json.loads((tmp_path / "feedback" / "manifest.json").read_text())
    counted = manifest["notes"]["statistics"]["abstention_reasons"]
    assert counted == {"rate_limited": 2, "bad_request": 1}


def test_stages_drop_what_failed_and_count_why(
    server: FaultyServer, constitution: Constitution, tmp_path: Path
) -> None:
    text = Fault(text="This is an answer with several words in it.")
    server.faults = [refused(400), text, text, refused(400), refused(503), refused(503)]
    server.always = text
    model = connect(server, tmp_path, retries=0, concurrency=1, backoff_s=0.001)
    run = RunFolder(str(tmp_path))
    asked = [c.prompt for c in comparisons(6)]
    with closing(model):
        sampled = PairsDeps(model, run.stage("pairs", "key"))
        pairs = feedback.sample(asked, FeedbackConfig(), deps=sampled)
        written = CritiqueDeps(model, model, run.stage("critique", "key"))
        server.faults = [refused(400), text, text, refused(429)]
        chains = critique.run(asked[:2], constitution, CritiqueConfig(rounds=1), deps=written)
    assert pairs.dropped["pair_bad_request"] + pairs.dropped["pair_server_error"] >= 2
    assert set(pairs.dropped) <= {"pair_bad_request", "pair_server_error", "pair_same_answer"}
    assert chains.dropped == {"draft_bad_request": 1, "revision_rate_limited": 1}


def test_votes_need_no_logprobs(
    server: FaultyServer, constitution: Constitution, tmp_path: Path
) -> None:
    server.top, server.always = None, Fault(text="Verdict: A")
    found = label(connect(server, tmp_path), constitution, tmp_path, 4, votes=True)
    assert [r.label.p_a for r in found if isinstance(r.label, Verdict)] == [0.5] * 4
    assert len(server.bodies) == 4 * 2 * 3


def test_without_logprobs_multiple_choice_ends_and_names_votes(
    server: FaultyServer, constitution: Constitution, tmp_path: Path
) -> None:
    server.top = None
    with pytest.raises(WorkError, match="judge `votes`"):
        label(connect(server, tmp_path), constitution, tmp_path, 8)
    assert len(server.bodies) <= 16
