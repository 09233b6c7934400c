"""Relabelling: which votes are taken over, what the judge is asked, and what is refused."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from charter import feedback
from charter.constitution.document import Constitution, Principle
from charter.errors import InputError
from charter.feedback import FeedbackConfig, FeedbackDeps
from charter.judging.earlier import EarlierLabels, summary_of, take
from charter.judging.reading import Outcome, Reading
from charter.judging.relabel import Edit, RelabelSummary, relabel
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
from charter.storage.index import StorageConfig
from charter.store import Manifest, RunFolder
from charter.tracing.trace import trace

ALL = FeedbackConfig(principles="all", harmful_tags=("x",), harmless_tags=("x",))


def principle(id: str, question: str = "", weight: float = 1.0) -> Principle:
    return Principle(id, id, "t", "c", "r", question or f"Which is more {id}?", weight, ("x",))


def constitution(*principles: Principle) -> Constitution:
    return Constitution("charter/constitution/1", "test", "1", principles)


BEFORE = constitution(principle("calm"), principle("fair"), principle("true"))


def comparisons(count: int = 7) -> list[Comparison]:
    origin = Origin("pairs", "policy@1")
    return [
        Comparison(
            f"p{n}/pair0", Prompt(f"p{n}", (Message("user", f"q{n}"),)), f"a{n}", "b", origin
        )
        for n in range(count)
    ]


class Scripted:
    """Reads hashes of what it is shown; counts its readings by principle."""

    def __init__(
        self,
        document: Constitution,
        identity: str = "scripted@1",
        answers: dict[str, float] | None = None,
        silent: frozenset[tuple[str, str]] = frozenset(),
    ) -> None:
        self.questions = {p.id: p.comparison_question for p in document.principles}
        self.identity, self.answers, self.silent = identity, answers or {}, silent
        self.heard: Counter[str] = Counter()
        self.calls = 0

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        self.calls += 1
        return [
            [self._one(c, id) for id in ids] for c, ids in zip(comparisons, principles, strict=True)
        ]

    def _one(self, c: Comparison, id: str) -> float | Abstention:
        self.heard[id] += 1
        if (c.id, id) in self.silent:
            return Abstention(c.id, "off_menu", self.identity)
        question = self.questions[id]
        if question in self.answers:
            return self.answers[question] if c.b == "b" else 1 - self.answers[question]
        text = f"{question}|{c.a}|{c.b}"
        return hashlib.sha256(text.encode()).digest()[0] / 255


def labelled(
    run: Path,
    document: Constitution,
    judge: Scripted,
    config: FeedbackConfig = ALL,
    earlier: EarlierLabels | None = None,
    given: Sequence[Comparison] = (),
    storage: StorageConfig | None = None,
) -> tuple[Manifest, list[Labelled]]:
    """A run folder with finished labels, as the pipeline leaves it."""
    folder = RunFolder(run, storage)
    (run / "constitution.json").write_bytes(msgspec.json.encode(document))
    stage = folder.stage("feedback", [document.digest, config])
    deps = FeedbackDeps(judge, stage, earlier=earlier)
    manifest = feedback.run(given or comparisons(), document, config, deps=deps)
    return manifest, list(stage.log(Labelled))


def verdicts(records: Sequence[Labelled]) -> list[Verdict]:
    found = [r.label for r in records if isinstance(r.label, Verdict)]
    assert len(found) == len(records)
    return found


def after(
    tmp_path: Path,
    document: Constitution,
    judge: Scripted | None = None,
    config: FeedbackConfig = ALL,
) -> tuple[Scripted, RelabelSummary, list[Labelled]]:
    """Relabel `tmp_path/old` into `tmp_path/new`."""
    judge = judge or Scripted(document)
    earlier = take(tmp_path / "old", "feedback", tmp_path / "new")
    earlier.vouch(comparisons(), judge.identity)
    _, records = labelled(tmp_path / "new", document, judge, config, earlier)
    summary = summary_of(tmp_path / "new", "feedback")
    assert summary is not None
    return judge, summary, records


def test_an_edit_of_one_of_three_principles_asks_for_that_one_alone(tmp_path: Path) -> None:
    _, old = labelled(tmp_path / "old", BEFORE, Scripted(BEFORE))
    edited = constitution(principle("calm"), principle("fair", "Fairer?"), principle("true"))
    judge, summary, new = after(tmp_path, edited)
    assert judge.heard == {"fair": 7 * 2}  # n comparisons, two orders, one principle
    assert (summary.kept, summary.asked, summary.dropped) == (14, 7, 0)
    assert summary.asked_because == {"changed": 7}
    for before, now in zip(verdicts(old), verdicts(new), strict=True):
        assert [v.principle for v in now.votes] == ["calm", "fair", "true"]
        for i in (0, 2):
            assert msgspec.json.encode(now.votes[i]) == msgspec.json.encode(before.votes[i])
        assert now.votes[1] != before.votes[1]
        assert now.p_a == pytest.approx(sum(v.p_a for v in now.votes) / 3)
    # What a labelling from nothing would have said.
    _, scratch = labelled(tmp_path / "scratch", edited, Scripted(edited))
    assert new == scratch


def test_nothing_changed_asks_nothing_and_gives_the_same_bytes(tmp_path: Path) -> None:
    labelled(tmp_path / "old", BEFORE, Scripted(BEFORE))
    judge, summary, _ = after(tmp_path, BEFORE)
    assert judge.calls == 0
    assert (summary.kept, summary.asked, summary.dropped) == (21, 0, 0)
    files = [tmp_path / run / "feedback" / "records.jsonl" for run in ("old", "new")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_new_principles_are_asked_and_removed_ones_go(tmp_path: Path) -> None:
    labelled(tmp_path / "old", BEFORE, Scripted(BEFORE))
    judge, summary, new = after(tmp_path, constitution(principle("true"), principle("warm")))
    assert judge.heard == {"warm": 14}
    assert (summary.kept, summary.asked, summary.dropped) == (7, 7, 14)
    assert summary.asked_because == {"new": 7}
    assert {tuple(v.principle for v in label.votes) for label in verdicts(new)} == {
        ("true", "warm")
    }


def test_flips_are_counted_with_ids_and_an_interval(tmp_path: Path) -> None:
    document = constitution(principle("calm", "old?"))
    labelled(tmp_path / "old", document, Scripted(document, answers={"old?": 0.8}))
    edited = constitution(principle("calm", "new?"))
    judge = Scripted(edited, answers={"new?": 0.3})
    _, summary, new = after(tmp_path, edited, judge)
    assert all(label.p_a == pytest.approx(0.3) for label in verdicts(new))
    assert summary.flipped_ids == tuple(c.id for c in comparisons())
    assert (summary.flipped.value, summary.flipped.n) == (1.0, 7)
    assert 0.6 < summary.flipped.low < 0.7 and summary.flipped.high == 1.0
    assert "7 of 7 flipped (100.0%, 95 % 64.6% to 100.0%)" in summary.text()


def test_leaving_a_tie_is_no_flip(tmp_path: Path) -> None:
    document = constitution(principle("calm", "old?"))
    labelled(tmp_path / "old", document, Scripted(document, answers={"old?": 0.5}))
    edited = constitution(principle("calm", "new?"))
    _, summary, _ = after(tmp_path, edited, Scripted(edited, answers={"new?": 0.9}))
    assert (summary.flipped_ids, summary.flipped.n) == ((), 7)


def test_what_the_judge_did_not_answer_then_is_asked_again(tmp_path: Path) -> None:
    silent = frozenset({("p0/pair0", "calm"), *(("p1/pair0", p.id) for p in BEFORE.principles)})
    _, old = labelled(tmp_path / "old", BEFORE, Scripted(BEFORE, silent=silent))
    assert isinstance(old[1].label, Abstention)
    judge, summary, new = after(tmp_path, BEFORE)
    assert judge.heard == {"calm": 4, "fair": 2, "true": 2}
    assert summary.asked_because == {"unread": 4}
    assert summary.now_verdicts == ("p1/pair0",) and summary.now_abstained == ()
    _, whole = labelled(tmp_path / "whole", BEFORE, Scripted(BEFORE))
    assert new == whole


def test_an_abstention_stays_one_with_its_reason(tmp_path: Path) -> None:
    silent = frozenset(("p1/pair0", p.id) for p in BEFORE.principles)
    labelled(tmp_path / "old", BEFORE, Scripted(BEFORE, silent=silent))
    _, _, new = after(tmp_path, BEFORE, Scripted(BEFORE, silent=silent))
    assert isinstance(new[1].label, Abstention) and new[1].label.reason == "off_menu"


def test_a_verdict_that_loses_all_its_votes_becomes_an_abstention(tmp_path: Path) -> None:
    labelled(tmp_path / "old", BEFORE, Scripted(BEFORE))
    edited = constitution(principle("warm"))
    judge = Scripted(edited, silent=frozenset({("p3/pair0", "warm")}))
    _, summary, new = after(tmp_path, edited, judge)
    assert isinstance(new[3].label, Abstention)
    assert summary.now_abstained == ("p3/pair0",) and summary.flipped.n == 6


def test_one_principle_a_comparison_keeps_the_votes_of_the_same_draw(tmp_path: Path) -> None:
    config = replace(ALL, principles="one")
    _, old = labelled(tmp_path / "old", BEFORE, Scripted(BEFORE), config)
    drawn = Counter(label.votes[0].principle for label in verdicts(old))
    assert 0 < drawn["fair"] < 7
    edited = constitution(principle("calm"), principle("fair", "Fairer?"), principle("true"))
    judge, summary, _ = after(tmp_path, edited, config=config)
    assert judge.heard == {"fair": 2 * drawn["fair"]}
    assert summary.kept == 7 - drawn["fair"]


def test_another_weighting_takes_the_readings_and_not_the_weights() -> None:
    old = Verdict("c", 0.9, (PrincipleVote("calm", 0.8, 1.0), PrincipleVote("fair", 0.1, 0.1)), "j")
    edit = Edit({"calm": "1", "fair": "2"}, {"calm": "1", "fair": "2"})
    judge = Scripted(BEFORE)
    drawn = [("calm", 3.0), ("fair", 1.0)]
    [new] = relabel(judge, comparisons(1), [drawn], [old], edit)
    assert judge.calls == 0 and isinstance(new, Verdict)
    assert [(v.p_as_given, v.p_swapped, v.weight) for v in new.votes] == [
        (0.8, 1.0, 3.0), (0.1, 0.1, 1.0),
    ]  # fmt: skip
    assert new.p_a == pytest.approx((3 * 0.9 + 0.1) / 4)


class Paid(Scripted):
    """A judge that says what a reading costs."""

    def read(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[Outcome]]:
        return [[Reading(0.5, tokens=2) for _ in ids] for ids in principles]


def test_tokens_of_both_labellings_are_added_up() -> None:
    old = Verdict("p0/pair0", 0.9, (PrincipleVote("calm", 0.9, 0.9),), "scripted@1", tokens=30)
    edit = Edit({"calm": "1"}, {"calm": "1", "fair": "2"})
    [new] = relabel(Paid(BEFORE), comparisons(1), [[("calm", 1.0), ("fair", 1.0)]], [old], edit)
    assert isinstance(new, Verdict) and new.tokens == 34


def test_principles_are_those_of_the_labels_whatever_document_was_looked_at_since(
    tmp_path: Path,
) -> None:
    labelled(tmp_path / "old", BEFORE, Scripted(BEFORE))
    edited = constitution(principle("calm"), principle("fair", "Fairer?"), principle("true"))
    # As `charter critique` with the edited document leaves it.
    (tmp_path / "old" / "constitution.json").write_bytes(msgspec.json.encode(edited))
    judge, _, _ = after(tmp_path, edited)
    assert judge.heard == {"fair": 14}


def test_labels_of_before_this_was_noted_go_by_the_document_of_the_run(tmp_path: Path) -> None:
    labelled(tmp_path / "old", BEFORE, Scripted(BEFORE))
    file = tmp_path / "old" / "feedback" / "manifest.json"
    manifest = msgspec.json.decode(file.read_bytes())
    del manifest["notes"]["principles"]
    file.write_bytes(msgspec.json.encode(manifest))
    judge, _, _ = after(tmp_path, constitution(principle("calm"), principle("fair", "Fairer?")))
    assert judge.heard == {"fair": 14}


def test_a_run_is_relabelled_in_its_own_folder_and_after_a_kill(tmp_path: Path) -> None:
    run = tmp_path / "run"
    labelled(run, BEFORE, Scripted(BEFORE))
    edited = constitution(principle("calm"), principle("fair", "Fairer?"), principle("true"))
    take(run, "feedback", run)
    RunFolder(run).stage("feedback", "something else")  # moved aside, and then the process died
    judge = Scripted(edited)
    _, new = labelled(run, edited, judge, earlier=take(run, "feedback", run))
    assert judge.heard == {"fair": 14}
    _, scratch = labelled(tmp_path / "scratch", edited, Scripted(edited))
    assert new == scratch
    assert trace(run, "p0/pair0")["constitution"] == edited.digest
    assert [c["id"] for c in trace(run, "p0/pair0")["clauses"]] == ["calm", "fair", "true"]


def test_labels_in_shards_are_taken_over_like_any_others(tmp_path: Path) -> None:
    plain, _ = labelled(tmp_path / "plain", BEFORE, Scripted(BEFORE))
    storage = StorageConfig(shard_mb=1e-5)  # every append becomes a shard
    sharded, _ = labelled(tmp_path / "old", BEFORE, Scripted(BEFORE), storage=storage)
    assert sharded.files["records.jsonl"].bytes == 0 < plain.files["records.jsonl"].bytes
    judge, summary, _ = after(
        tmp_path, constitution(principle("calm"), principle("fair", "Fairer?"), principle("true"))
    )
    assert judge.heard == {"fair": 14}
    assert (summary.kept, summary.asked) == (14, 7)
    for name in ("plain", "old"):
        take(tmp_path / name, "feedback", tmp_path / f"from_{name}")
    copies = [tmp_path / f"from_{n}" / "earlier" / "labels.jsonl" for n in ("plain", "old")]
    assert copies[0].read_bytes() == copies[1].read_bytes()


def test_a_second_edit_starts_from_the_labels_of_the_first(tmp_path: Path) -> None:
    run = tmp_path / "run"
    labelled(run, BEFORE, Scripted(BEFORE))
    for number, calls in (("1", 14), ("2", 14)):
        edited = constitution(principle("calm"), principle("fair", number), principle("true"))
        judge = Scripted(edited)
        labelled(run, edited, judge, earlier=take(run, "feedback", run))
        assert judge.heard == {"fair": calls}


def test_an_interrupted_relabelling_reads_the_rest_only(tmp_path: Path) -> None:
    labelled(tmp_path / "old", BEFORE, Scripted(BEFORE), given=comparisons(60))
    edited = constitution(principle("calm"), principle("fair", "Fairer?"), principle("true"))
    earlier = take(tmp_path / "old", "feedback", tmp_path / "new")
    _, whole = labelled(
        tmp_path / "new", edited, Scripted(edited), earlier=earlier, given=comparisons(60)
    )
    stage = tmp_path / "new" / "feedback"
    (stage / "manifest.json").unlink()
    lines = (stage / "records.jsonl").read_bytes().splitlines(keepends=True)
    (stage / "records.jsonl").write_bytes(b"".join(lines[:48]))
    judge = Scripted(edited)
    manifest, again = labelled(
        tmp_path / "new", edited, judge, earlier=earlier, given=comparisons(60)
    )
    assert judge.heard == {"fair": 24} and again == whole
    assert manifest.notes["relabel"].kept == 120


def refusal(earlier: EarlierLabels, given: Sequence[Comparison], judge: str = "scripted@1") -> str:
    with pytest.raises(InputError) as caught:
        earlier.vouch(given, judge)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_other_comparisons_and_other_judges_are_refused(tmp_path: Path) -> None:
    labelled(tmp_path / "old", BEFORE, Scripted(BEFORE))
    earlier = take(tmp_path / "old", "feedback", tmp_path / "new")
    given = comparisons()
    earlier.vouch(given, "scripted@1")
    other = [*given[:2], replace(given[2], a="edited"), *given[3:]]
    assert "comparison 'p2/pair0' has other texts there" in refusal(earlier, other)
    more = comparisons(8)
    assert "has no label of comparison 'p7/pair0'" in refusal(earlier, more)
    assert "labels 7 comparisons, this run has 6" in refusal(earlier, given[:6])
    message = refusal(earlier, given, "scripted@2")
    assert "'scripted@1', the recipe's is 'scripted@2'" in message
    assert str(tmp_path / "old") in message


def test_who_made_the_answers_does_not_matter_to_a_vote(tmp_path: Path) -> None:
    labelled(tmp_path / "old", BEFORE, Scripted(BEFORE))
    earlier = take(tmp_path / "old", "feedback", tmp_path / "new")
    earlier.vouch(
        [replace(c, origin=Origin("pairs", "other")) for c in comparisons()], "scripted@1"
    )


@pytest.mark.parametrize("missing", ["manifest.json", "../constitution.json"])
def test_a_run_without_finished_labels_is_refused(tmp_path: Path, missing: str) -> None:
    labelled(tmp_path / "old", BEFORE, Scripted(BEFORE))
    (tmp_path / "old" / "feedback" / missing).resolve().unlink()
    with pytest.raises(InputError, match="a run folder in which `charter label` has finished"):
        take(tmp_path / "old", "feedback", tmp_path / "new")
    assert not (tmp_path / "new").exists()
