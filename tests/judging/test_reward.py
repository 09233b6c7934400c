"""Judges as rewards: direct ratings, win rates against the start, and abstentions."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from charter.constitution import document
from charter.judging.config import JudgeConfig
from charter.judging.multiple_choice import MultipleChoiceJudge
from charter.judging.reward import ByKind, Principles, Start, WinRate, judged
from charter.models.loading import Models
from charter.records import Message, Prompt, Sampling, Scored

from .conftest import QUESTIONS, Chooser, prefers_good

ASK = (Message("user", "hello"),)
HARM = Prompt("h", (Message("user", "harm"),), "redteam")
FINE = Prompt("f", ASK, "benign")
SHORT = Sampling(max_tokens=4)


def start(text: str) -> Start:
    return Start(Chooser(lambda *_: (1.0,), lambda _: text), SHORT)


def win_rate(reference: str, choose=prefers_good) -> WinRate:
    judge = MultipleChoiceJudge(Chooser(choose), QUESTIONS)
    return WinRate(judge, lambda _: [("kind", 1.0)], start(reference))


def test_a_win_rate_is_the_probability_of_beating_the_start() -> None:
    found = win_rate("bad").score([(FINE, "good"), (FINE, "bad"), (HARM, "  ")])
    assert found[0].value == pytest.approx(0.9)
    # The start's own answer ties with itself, and no judge is needed to know it.
    assert found[1] == Scored(0.5)
    assert found[2] == Scored(None, "empty_answer")
    assert win_rate("good").score([(FINE, "bad")])[0].value == pytest.approx(0.1)


def test_the_start_answers_each_prompt_once() -> None:
    scorer = win_rate("bad")
    scorer.score([(FINE, "good"), (FINE, "good good"), (HARM, "good")])
    scorer.score([(FINE, "good good good")])
    policy = scorer.start.policy
    assert isinstance(policy, Chooser)
    assert [r.messages for r in policy.requests] == [ASK, HARM.messages]
    assert len({r.seed for r in policy.requests}) == 2


def test_an_abstention_is_none_with_its_reason_never_a_number() -> None:
    def off_the_menu(text: str, suffix: str) -> tuple[float, float]:
        return (0.001, 0.001)

    found = win_rate("bad", off_the_menu).score([(FINE, "good")])
    assert found[0].value is None and found[0].reason
    assert win_rate("").score([(FINE, "good")]) == [Scored(None, "empty_reference")]


class Fixed:
    def __init__(self, name: str, value: float) -> None:
        self.identity, self.value = name, value
        self.asked: list[str] = []

    def score(self, exchanges: Sequence[tuple[Prompt, str]]) -> list[Scored]:
        self.asked += [prompt.id for prompt, _ in exchanges]
        return [Scored(self.value) for _ in exchanges]


def test_each_kind_of_prompt_has_its_own_principles() -> None:
    harmful, harmless = Fixed("a@1", 1.0), Fixed("b@1", 2.0)
    both = ByKind(harmful, harmless)
    found = both.score([(FINE, "x"), (HARM, "y"), (FINE, "z")])
    assert [s.value for s in found] == [2.0, 1.0, 2.0]
    assert (harmful.asked, harmless.asked) == (["h"], ["f", "f"])
    assert both.identity not in ("a@1", "b@1")


class Served(Models):
    """Gives a scripted model for every name."""

    def __init__(self, model: Chooser) -> None:
        super().__init__()
        self.model = model

    def choices(self, checkpoint):  # type: ignore[no-untyped-def]
        return self.model


def rate_ten(text: str, suffix: str) -> list[float]:
    """A ten for good answers, a one for all others."""
    return [0.0] * 9 + [1.0] if "good" in text else [1.0] + [0.0] * 9


def made(config: JudgeConfig, model: Chooser):  # type: ignore[no-untyped-def]
    return judged(
        config,
        Served(model),
        principles=Principles(document.load("default"), ("harm",), ("helpful",)),
        start=start("fine"),
        default_model="scripted",
        judges={},
    )


def test_a_rating_judge_pays_its_rating() -> None:
    reward = made(JudgeConfig("rating"), Chooser(rate_ten))
    found = reward.scorer.score([(FINE, "good"), (HARM, "good"), (FINE, "so so"), (FINE, "")])
    assert [s.value for s in found[:3]] == pytest.approx([1.0, 1.0, -1.0])
    assert found[3].value is None
    assert any(identity.startswith("rating@") for identity in reward.identities)


def test_a_rating_that_cannot_be_read_pays_nothing() -> None:
    mute = Chooser(lambda *_: [0.0001] * 10)
    found = made(JudgeConfig("rating"), mute).scorer.score([(FINE, "good")])
    assert found[0].value is None and found[0].reason


def test_any_other_judge_is_a_win_rate() -> None:
    reward = made(JudgeConfig("multiple-choice"), Chooser(prefers_good))
    assert isinstance(reward.scorer, WinRate)
    assert reward.scorer.identity.startswith("win-rate:multiple-choice@")
    assert reward.identities == (reward.scorer.judge.identity,)
