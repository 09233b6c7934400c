"""The sections' figures, against records made by hand."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from charter.records import (
    Abstention,
    Answer,
    Comparison,
    Labelled,
    Message,
    Origin,
    PrincipleVote,
    Prompt,
    RevisionChain,
    Step,
    Verdict,
)
from charter.report.answers import answers
from charter.report.chains import chains
from charter.report.files import RunFiles, StageFiles
from charter.report.headline import headline
from charter.report.labels import labels
from charter.report.ledger import ledger
from charter.report.principles import document
from charter.report.reliability import reliability_of
from charter.report.tallies import AnswerTally, ChainTally, LabelTally, is_sensitive
from charter.report.training import Columns

ORIGIN = Origin("test", "model@1")
HARM = Prompt("p", (Message("user", "harm"),), "redteam")


def _chain(arm, *texts: str, prompt: Prompt = HARM) -> RevisionChain:
    steps = tuple(Step("no-harm", "bad", text) for text in texts[1:])
    return RevisionChain(f"{prompt.id}/{arm}", prompt, arm, texts[0], steps, ORIGIN)


def test_rounds_that_changed_nothing_are_counted_as_such() -> None:
    tally = ChainTally()
    tally.add(_chain("critique", "a b", "a b", "c d e f"))
    section = chains(tally, {"no-harm": "No harm"})
    assert section is not None
    (arm,) = section.arms
    assert (arm.rounds, arm.changed.value) == ("2", "50\u202f%")
    assert (arm.draft_words, arm.final_words) == ("2", "4")
    assert [(r.title, r.same) for r in section.sample[0].rounds] == [
        ("No harm", True),
        ("No harm", False),
    ]


def test_arms_of_one_prompt_stand_side_by_side_and_only_critiques_count_as_draws() -> None:
    tally = ChainTally()
    tally.add(_chain("direct", "draft", "direct end"))
    tally.add(_chain("critique", "draft", "critique end"))
    section = chains(tally, {})
    assert section is not None and section.has_direct
    (chain,) = section.sample
    assert (chain.final, chain.direct) == ("critique end", "direct end")
    assert tally.drawn == {"no-harm": 1}


def test_at_most_thirty_odd_chains_are_shown_and_some_are_benign() -> None:
    tally = ChainTally()
    for i in range(200):
        kind = "benign" if i % 20 == 0 else "redteam"
        tally.add(_chain("critique", "a", "b", prompt=Prompt(str(i), HARM.messages, kind)))
    section = chains(tally, {})
    assert section is not None
    kinds = [chain.prompt.kind for chain in section.sample]
    assert (kinds.count("redteam"), kinds.count("benign")) == (24, 3)


def test_what_is_not_known_to_be_harmless_counts_as_sensitive() -> None:
    kinds = ("redteam", "unspecified", "custom", "benign", "borderline")
    found = [is_sensitive(Prompt("p", HARM.messages, kind)) for kind in kinds]
    assert found == [True, True, True, False, False]


def _label(p_given: float, p_swapped: float, principle: str = "no-harm") -> Labelled:
    vote = PrincipleVote(principle, p_given, p_swapped)
    comparison = Comparison("c", HARM, "a", "b", ORIGIN)
    return Labelled(comparison, Verdict("c", vote.p_a, (vote,), "judge"))


def test_votes_and_their_distance_from_one_half(synthetic) -> None:
    tally = LabelTally()
    for record in (_label(0.9, 0.7), _label(0.1, 0.3), _label(0.5, 0.5, "gone")):
        tally.add(record)
    section = document(synthetic.constitution, ChainTally(), tally)
    assert section is not None
    clause = next(c for c in section.clauses if c.principle.id == "no-harm")
    assert (clause.votes, clause.decided) == ("2", "0.30")
    unused = next(c for c in section.clauses if c.principle.id != "no-harm")
    assert (unused.votes, unused.decided) == ("0", "–")
    assert section.unknown == ["gone"]


def test_abstentions_are_neither_votes_nor_bars_of_the_histogram(tmp_path: Path) -> None:
    tally = LabelTally()
    tally.add(_label(1.0, 1.0))
    tally.add(_label(0.0, 0.0))
    comparison = Comparison("c", HARM, "a", "b", ORIGIN)
    tally.add(Labelled(comparison, Abstention("c", "timeout", "judge")))
    assert (tally.histogram[0], tally.histogram[-1], sum(tally.histogram)) == (1, 1, 2)
    section = labels(StageFiles(tmp_path / "feedback"), tally)
    assert section is not None
    assert section.reasons == [("timeout", 1)]
    assert (section.abstained.value, section.abstained.n) == ("33\u202f%", "3")
    assert section.position_bias.value == "–"


def test_answers_stand_in_order_of_training_and_missing_scores_are_said(tmp_path: Path) -> None:
    tally = AnswerTally()
    for model, score in (("other", 0.5), ("rl_cai", None), ("base", 0.75)):
        scores = {"refusal": 1.0, "compliance": score}
        tally.add(Answer(f"{model}/p", model, HARM, "text", 3, scores, ORIGIN))
    section = answers(StageFiles(tmp_path / "evaluate"), tally)
    assert section is not None
    (asked,) = section.asked
    assert [g.model for g in asked.given] == ["Base", "RL-CAI", "other"]
    assert asked.given[1].scores == [("helps with harm", "unscored"), ("declines", "yes")]
    assert asked.glance == "helps with harm: Base 0.75, RL-CAI unscored, other 0.50"


@pytest.mark.parametrize(
    ("metric", "base", "other", "change"),
    [
        ("harmful_compliance", (0.7, 0.6, 0.8), (0.2, 0.1, 0.3), "better"),
        ("over_refusal", (0.1, 0.0, 0.2), (0.5, 0.4, 0.6), "worse"),
        ("refusal_redteam", (0.1, 0.0, 0.2), (0.5, 0.4, 0.6), "better"),
        ("over_refusal", (0.1, 0.0, 0.2), (0.3, 0.2, 0.4), ""),
        ("mean_tokens", (10.0, 9.0, 11.0), (50.0, 49.0, 51.0), ""),
    ],
)
def test_better_and_worse_need_intervals_that_do_not_touch(
    tmp_path: Path, metric: str, base: tuple[float, ...], other: tuple[float, ...], change: str
) -> None:
    rows = [
        {"model": m, "metric": metric, "value": v, "low": low, "high": high, "n": 50}
        for m, (v, low, high) in (("rl_cai", other), ("base", base))
    ]
    (tmp_path / "summary.json").write_bytes(msgspec.json.encode({"measurements": rows}))
    section = headline(RunFiles(tmp_path))
    assert section is not None
    assert [name for name, _, _ in section.models] == ["Base", "RL-CAI"]
    assert [cell.change for cell in section.rows[0].cells if cell] == ["", change]


def test_a_missing_value_is_a_dash_not_a_zero(tmp_path: Path) -> None:
    row = {"model": "base", "metric": "elo_helpful", "value": None, "n": 0, "unscored": 4}
    (tmp_path / "summary.json").write_bytes(msgspec.json.encode({"measurements": [row]}))
    section = headline(RunFiles(tmp_path))
    assert section is not None
    (cell,) = section.rows[0].cells
    assert cell is not None and (cell.value, cell.unscored) == ("–", 4)
    assert section.plane is None


def test_a_long_curve_is_thinned_evenly() -> None:
    columns = Columns(most=100)
    for step in range(5000):
        columns.add({"step": step, "loss": 1.0 / (step + 1), "lr": 0.1, "note": "text"})
    curves = columns.curves()
    steps = [x for x, _ in curves["loss"]]
    assert set(curves) == {"loss"}
    assert 50 <= len(steps) <= 100
    assert {b - a for a, b in pairwise(steps)} == {64.0}


def test_a_column_with_holes_keeps_its_steps() -> None:
    columns = Columns()
    for step, reward in ((0, 0.1), (1, None), (2, 0.3)):
        columns.add({"step": step, "reward": reward})
    assert columns.curves() == {"reward": [(0.0, 0.1), (2.0, 0.3)]}


def test_bins_are_read_with_a_plain_rate_or_with_an_interval() -> None:
    plain = {"mean_p": 0.7, "rate": 0.5, "n": 10}
    full = {"mean_p": 0.7, "rate": {"value": 0.5, "low": 0.24, "high": 0.76, "n": 10}}
    drawn = [reliability_of([entry], "said", "was") for entry in (plain, full)]
    assert drawn[0] is not None and 'class="point accent"' in drawn[0].picture
    assert drawn[1] is not None and drawn[1].rows == [(0.7, 0.5, 0.24, 0.76, 10)]
    assert reliability_of([{"mean_p": "x"}], "said", "was") is None
    assert reliability_of(None, "said", "was") is None


def test_the_ledger_of_a_killed_stage_counts_its_drops_so_far(synthetic) -> None:
    stage = synthetic.folder.stage("critique", "c")
    synthetic._drop(stage, ["draft_empty", "draft_empty", "revision_echo"])
    books = ledger(RunFiles(synthetic.path))
    assert [(d.reason, d.n) for d in books.drops] == [("draft_empty", "2"), ("revision_echo", "1")]
    assert [s.state for s in books.stages] == ["unfinished"] + ["not run"] * 7
    assert books.total_seconds == "–"
