"""What an edit does to a run's labels: readings counted, then asked of a judge that counts them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from charter import feedback, recipe
from charter.cli.constitution import group
from charter.constitution.document import FORMAT, Constitution, Principle
from charter.errors import DataError
from charter.feedback import FeedbackConfig, FeedbackDeps
from charter.impact import RelabelCost, has_labels, relabel_cost, relabel_flips
from charter.judging.config import JudgeConfig
from charter.judging.making import make
from charter.models.loading import Models
from charter.records import Abstention, Comparison, Labelled, Message, Origin, Prompt, Verdict
from charter.store import RecordLog, RunFolder


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


def test_a_new_priority_costs_no_call_and_its_flips_are_named(run: Path) -> None:
    [calm, fair, true] = BEFORE.principles
    turned = with_principles(replace(calm, comparison_question="Which 0.0?"), fair, true)
    # 0, 0.8 and 0.8 are for A together; where `calm` goes before both, its vote decides.
    ranked = replace(turned.principles[0], over=("fair", "true"))
    after = replace(turned, principles=(ranked, *turned.principles[1:]))
    assert relabel_flips(run, BEFORE, turned, judge=Scripted(turned)).flipped_ids == ()
    judge = Scripted(after)
    found = relabel_flips(run, BEFORE, after, judge=judge)
    assert found.flipped_ids == ("p0", "p1", "p2", "p3", "p4")
    assert judge.readings == relabel_cost(run, BEFORE, after).calls == 10


def test_the_command_asks_the_runs_own_judge(tiny_model_folder: Path, tmp_path: Path) -> None:
    settings = JudgeConfig("multiple-choice", model=str(tiny_model_folder), min_mass=0.0)
    config = FeedbackConfig(
        judge="tiny",
        principles="all",
        harmful_tags=("x",),
        harmless_tags=("x",),
        self_preference=0,
    )
    asked = replace(recipe.load("smoke"), feedback=config, judges={"tiny": settings})
    document = with_principles(CALM, FAIR)
    other = replace(FAIR, comparison_question="How do I bake bread with stone river cloud apple?")
    edited = with_principles(CALM, other)

    def judged(under: Constitution) -> dict[str, float]:
        folder = RunFolder(tmp_path / under.digest)
        made = make(settings, under, Models(), default_model="", judges={})
        deps = FeedbackDeps(made.judge, folder.stage(feedback.STAGE, "x"))
        feedback.run(COMPARISONS, under, config, deps=deps)
        log = RecordLog(tmp_path / under.digest / "feedback" / "records.jsonl", Labelled)
        return {r.comparison.id: r.label.p_a for r in log if isinstance(r.label, Verdict)}

    before, after = judged(document), judged(edited)
    run = tmp_path / document.digest
    (run / "recipe.json").write_bytes(msgspec.json.encode(asked))
    (run / "constitution.json").write_bytes(msgspec.json.encode(document))
    for name, content in (("a.json", document), ("b.json", edited)):
        (tmp_path / name).write_bytes(msgspec.json.encode(content))
    files = [str(tmp_path / name) for name in ("a.json", "b.json")]
    called = CliRunner().invoke(group, ["diff", *files, "--run", str(run), "--relabel", "--json"])
    found = msgspec.json.decode(called.output)
    assert found["relabel_cost"]["calls"] == 2 * len(COMPARISONS)
    assert len(before) == len(after) == len(COMPARISONS) == found["relabel"]["flipped"]["n"]
    flipped = [id for id in before if (before[id] - 0.5) * (after[id] - 0.5) < 0]
    assert flipped and found["relabel"]["flipped_ids"] == flipped


COMPARISONS = [
    Comparison(f"p{n}", Prompt(f"p{n}", (Message("user", "q"),)), a, b, Origin("s", "m"))
    for n, (a, b) in enumerate(
        [
            ("apple", "good story please"),
            ("yes no", "stone river cloud"),
            ("a kind plan", "bread"),
            ("sorry", "the a is of and to"),
            ("what", "system user assistant"),
            ("1 2 3", "tell me"),
        ]
    )
]
"""For a model that knows no words: texts of different length and letters."""
