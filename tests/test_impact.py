"""What an edit does to a run's labels: readings counted, then asked of a judge that counts them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from charter import feedback, recipe
from charter.constitution.document import FORMAT, Constitution, Principle
from charter.errors import DataError
from charter.feedback import FeedbackConfig, FeedbackDeps
from charter.impact import RelabelCost, has_labels, relabel_cost, relabel_flips
from charter.records import Abstention, Comparison, Message, Origin, Prompt
from charter.store import RunFolder


def principle(id: str, question: str = "", weight: float = 1.0) -> Principle:
    return Principle(id, id, "t", "c", "r", question or f"{id}?", weight, ("x",))


BEFORE = Constitution(FORMAT, "t", "1", (principle("calm"), principle("fair"), principle("true")))


class Scripted:
    """Says A with the probability that stands in the question, 0.8 without one."""

    def __init__(self, document: Constitution, identity: str = "scripted@1") -> None:
        self.questions = {p.id: p.comparison_question for p in document.principles}
        self.identity, self.readings = identity, 0

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        return [
            [self._one(comparison, id) for id in ids]
            for comparison, ids in zip(comparisons, principles, strict=True)
        ]

    def _one(self, comparison: Comparison, id: str) -> float:
        self.readings += 1
        word = self.questions[id].rstrip("?").split()[-1]
        p = float(word) if word[0].isdigit() else 0.8
        return p if comparison.a.startswith("a") else 1 - p


@pytest.fixture
def run(tmp_path: Path) -> Path:
    config = FeedbackConfig(
        principles="weighted", harmful_tags=("x",), harmless_tags=("x",), self_preference=0
    )
    comparisons = [
        Comparison(
            f"p{n}", Prompt(f"p{n}", (Message("user", "q"),)), f"a{n}", "b", Origin("s", "m")
        )
        for n in range(5)
    ]
    folder = RunFolder(tmp_path)
    deps = FeedbackDeps(Scripted(BEFORE), folder.stage(feedback.STAGE, "x"))
    feedback.run(comparisons, BEFORE, config, deps=deps)
    asked = replace(recipe.load("smoke"), feedback=config)
    (tmp_path / "recipe.json").write_bytes(msgspec.json.encode(asked))
    return tmp_path


def with_principles(*principles: Principle) -> Constitution:
    return replace(BEFORE, principles=principles)


CALM, FAIR, TRUE = BEFORE.principles
TURNED = replace(CALM, comparison_question="Which 0.0?")


def test_nothing_changed_costs_nothing(run: Path) -> None:
    assert relabel_cost(run, BEFORE, BEFORE) == RelabelCost(5, 15, 0, {}, 0, 0)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (with_principles(TURNED, FAIR, TRUE), RelabelCost(5, 10, 5, {"changed": 5}, 0, 10)),
        (with_principles(CALM, FAIR), RelabelCost(5, 10, 0, {}, 5, 0)),
        (
            with_principles(CALM, FAIR, TRUE, principle("new")),
            RelabelCost(5, 15, 5, {"new": 5}, 0, 10),
        ),
        (with_principles(replace(CALM, weight=9.0), FAIR, TRUE), RelabelCost(5, 15, 0, {}, 0, 0)),
        (
            with_principles(replace(CALM, rationale="Why."), FAIR, TRUE),
            RelabelCost(5, 15, 0, {}, 0, 0),
        ),
    ],
)
def test_the_cost_is_what_a_relabel_asks(
    run: Path, after: Constitution, expected: RelabelCost
) -> None:
    assert relabel_cost(run, BEFORE, after) == expected
    judge = Scripted(after)
    relabel_flips(run, BEFORE, after, judge=judge)
    assert judge.readings == expected.calls


def test_verdicts_that_flip_are_named_and_the_run_is_left_alone(run: Path) -> None:
    log = run / "feedback" / "records.jsonl"
    before = log.read_bytes()
    # (9·0 + 0.8 + 0.8) / 11 < 1/2, where it was 0.8.
    after = with_principles(replace(TURNED, weight=9.0), FAIR, TRUE)
    found = relabel_flips(run, BEFORE, after, judge=Scripted(after))
    assert found.flipped_ids == ("p0", "p1", "p2", "p3", "p4")
    assert (found.flipped.value, found.flipped.n) == (1.0, 5)
    assert relabel_flips(run, BEFORE, BEFORE, judge=Scripted(BEFORE)).flipped_ids == ()
    assert log.read_bytes() == before


def test_another_judge_is_refused(run: Path) -> None:
    after = with_principles(TURNED, FAIR, TRUE)
    with pytest.raises(DataError, match="judge 'scripted@1', the recipe's is 'other@2'"):
        relabel_flips(run, BEFORE, after, judge=Scripted(after, "other@2"))


def test_unfinished_labels_and_other_folders_are_refused(run: Path, tmp_path: Path) -> None:
    assert has_labels(run)
    (run / "feedback" / "manifest.json").unlink()
    assert not has_labels(run)
    with pytest.raises(DataError, match="the labels are not finished"):
        relabel_cost(run, BEFORE, BEFORE)
    (run / "recipe.json").write_text('{"format": "old"}')
    with pytest.raises(DataError, match="made by another version"):
        relabel_cost(run, BEFORE, BEFORE)
    with pytest.raises(DataError, match="not a run folder"):
        relabel_cost(tmp_path / "nowhere", BEFORE, BEFORE)
