"""Votes that give way to a clause with priority: in new labels, and in those taken over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from charter.constitution.document import FORMAT, Constitution, Principle
from charter.judging.answerwise import AnswerwiseJudge
from charter.judging.config import JudgeConfig, Kind
from charter.judging.labeling import label, reaggregate
from charter.judging.making import make
from charter.judging.multiple_choice import MultipleChoiceJudge
from charter.judging.pointwise import YesNoReader
from charter.judging.precedence import settled
from charter.judging.relabel import Edit, relabel
from charter.models.loading import Models
from charter.records import (
    Abstention,
    Comparison,
    Labelled,
    Message,
    Origin,
    PrincipleVote,
    Prompt,
    Verdict,
)

PAIR = Comparison("c", Prompt("p", (Message("user", "q"),)), "a", "b", Origin("pairs", "m"))
DRAWN = (("high", 1.0), ("low", 3.0))


def votes(**readings: float) -> list[PrincipleVote]:
    return [PrincipleVote(id, p, p) for id, p in readings.items()]


def weights(found: Sequence[PrincipleVote]) -> dict[str, float]:
    return {vote.principle: vote.weight for vote in found}


class Fixed:
    """Reads each principle as it is told, in both orders."""

    identity = "fixed"

    def __init__(self, **p_a: float) -> None:
        self.p_a, self.asked = p_a, 0

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        self.asked += sum(map(len, principles))
        return [
            [self.p_a[id] if c.a == "a" else 1 - self.p_a[id] for id in ids]
            for c, ids in zip(comparisons, principles, strict=True)
        ]


def test_a_clear_contrary_vote_gives_way() -> None:
    found = settled(votes(low=0.1, high=0.9), {"high": {"low"}})
    assert weights(found) == {"low": 0.0, "high": 1.0}
    assert [vote.p_a for vote in found] == [0.1, 0.9]


@pytest.mark.parametrize("low", [0.45, 0.8])
def test_a_vague_or_agreeing_vote_keeps_its_weight(low: float) -> None:
    assert weights(settled(votes(low=low, high=0.9), {"high": {"low"}})) == {"low": 1, "high": 1}


def test_a_vague_vote_overrules_nobody() -> None:
    assert weights(settled(votes(low=0.1, high=0.55), {"high": {"low"}})) == {"low": 1, "high": 1}


def test_without_priorities_nothing_changes() -> None:
    given = votes(low=0.1, high=0.9)
    assert settled(given, {}) == tuple(given)


def test_a_vote_that_gave_way_overrules_nobody() -> None:
    order = {"a": {"b", "c"}, "b": {"c"}}
    assert weights(settled(votes(c=0.9, b=0.1, a=0.9), order)) == {"c": 1, "b": 0, "a": 1}


def test_labels_follow_the_clause_that_goes_first() -> None:
    judge = Fixed(high=0.9, low=0.1)
    [plain] = label(judge, [PAIR], [DRAWN])
    [ranked] = label(judge, [PAIR], [DRAWN], before={"high": {"low"}})
    assert isinstance(plain, Verdict) and isinstance(ranked, Verdict)
    assert plain.p_a == pytest.approx(0.3)
    assert ranked.p_a == pytest.approx(0.9)
    assert weights(ranked.votes) == {"high": 1.0, "low": 0.0}


def test_a_new_priority_turns_a_kept_label_round_without_a_call() -> None:
    judge = Fixed(high=0.9, low=0.1)
    [old] = label(judge, [PAIR], [DRAWN])
    judge.asked = 0
    same = Edit({"high": "1", "low": "2"}, {"high": "1", "low": "2"})
    [new] = relabel(judge, [PAIR], [DRAWN], [old], same, before={"high": {"low"}})
    assert isinstance(new, Verdict) and new.p_a == pytest.approx(0.9)
    [back] = relabel(judge, [PAIR], [DRAWN], [new], same)
    assert back == old
    assert judge.asked == 0


def test_votes_weighed_anew_leave_out_those_that_gave_way() -> None:
    [ranked] = label(Fixed(high=0.9, low=0.1), [PAIR], [DRAWN], before={"high": {"low"}})
    found = reaggregate(Labelled(PAIR, ranked), weights={"high": 1.0, "low": 9.0}).label
    assert isinstance(found, Verdict) and found.p_a == pytest.approx(0.9)
    none = reaggregate(Labelled(PAIR, ranked), principles=["low"]).label
    assert isinstance(none, Abstention) and none.reason == "no_principle"


@pytest.mark.parametrize("kind", ["multiple-choice", "pointwise"])
def test_a_judge_is_told_of_exceptions(kind: Kind, tiny_model_folder: Path) -> None:
    clause = Principle("kind", "Kind", "Text.", "c", "r", "Which?", exceptions=("jokes pass",))
    document = Constitution(FORMAT, "test", "1", (clause,))
    settings = JudgeConfig(kind, model=str(tiny_model_folder))
    judge = make(settings, document, Models(), default_model="", judges={}).judge
    if isinstance(judge, MultipleChoiceJudge):
        assert judge.questions == {"kind": "Which? Exception: jokes pass."}
    else:
        assert isinstance(judge, AnswerwiseJudge) and isinstance(judge.reader, YesNoReader)
        assert judge.reader.principles == {"kind": "Text. Exception: jokes pass."}
