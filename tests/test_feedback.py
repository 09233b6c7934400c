"""Pairs and labels: what is sampled, which principles judge, what becomes of abstentions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from charter import feedback
from charter.constitution.document import Constitution, Principle
from charter.feedback import FeedbackConfig, FeedbackDeps, PairsDeps
from charter.records import (
    Abstention,
    Comparison,
    Completion,
    Dropped,
    Labelled,
    Message,
    Origin,
    Prompt,
    Request,
    Sampling,
    Verdict,
)
from charter.store import DROPPED, Manifest, RunFolder

Reply = Callable[[Request, int], str]


def principle(id: str, weight: float, *tags: str) -> Principle:
    return Principle(id, id, "text", "critique", "revise", f"Which is more {id}?", weight, tags)


CONSTITUTION = Constitution(
    "charter/constitution/1",
    "test",
    "1",
    (
        principle("no-harm", 3.0, "harm"),
        principle("gentle", 1.0, "manner"),
        principle("useful", 1.0, "helpful"),
        principle("true", 1.0, "honest", "general"),
        principle("other", 9.0, "else"),
    ),
)
HARMFUL, HARMLESS = {"no-harm", "gentle"}, {"useful", "true"}


class Sampler:
    """A policy whose answers are made from the request and how often its prompt was asked."""

    identity = "policy@1"

    def __init__(self, reply: Reply) -> None:
        self.reply, self.asked = reply, list[Request]()
        self.times: Counter[str] = Counter()

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        self.asked += requests
        return [Completion(self._answer(r), 5, "stop") for r in requests]

    def _answer(self, request: Request) -> str:
        text = request.messages[-1].content
        self.times[text] += 1
        return self.reply(request, self.times[text])


def different(request: Request, time: int) -> str:
    return f"Answer number {time} to {request.messages[-1].content!r}."


def prompt(name: str, kind: str = "redteam") -> Prompt:
    return Prompt(name, (Message("user", f"question {name}"),), kind)


def sampled(
    path: Path,
    prompts: Sequence[Prompt],
    reply: Reply = different,
    config: FeedbackConfig | None = None,
    seed: int = 0,
) -> tuple[Manifest, list[Comparison], list[Dropped], Sampler]:
    policy, folder = Sampler(reply), RunFolder(path).stage("pairs", "asked")
    deps = PairsDeps(policy, folder, seed)
    manifest = feedback.sample(prompts, config or FeedbackConfig(), deps=deps)
    return manifest, list(folder.log(Comparison)), list(folder.log(Dropped, DROPPED)), policy


def test_two_fresh_answers_a_comparison(tmp_path: Path) -> None:
    sampling = Sampling(max_tokens=7, temperature=0.9)
    manifest, found, _, policy = sampled(
        tmp_path, [prompt("p0"), prompt("p1")], config=FeedbackConfig(answer=sampling), seed=3
    )
    assert manifest.kept == 2
    assert [c.id for c in found] == ["p0/pair0", "p1/pair0"]
    for name, pair in zip(("p0", "p1"), found, strict=True):
        said = [f"Answer number {time} to 'question {name}'." for time in (1, 2)]
        assert [pair.a, pair.b] == said
    assert len({r.seed for r in policy.asked}) == 4
    origin = found[0].origin
    assert (origin.stage, origin.model, origin.sampling, origin.seed) == (
        "pairs", "policy@1", sampling, 3,
    )  # fmt: skip


def test_several_pairs_a_prompt_have_answers_of_their_own(tmp_path: Path) -> None:
    config = FeedbackConfig(pairs_per_prompt=3)
    _, found, _, policy = sampled(tmp_path, [prompt("p0")], config=config)
    assert [c.id for c in found] == ["p0/pair0", "p0/pair1", "p0/pair2"]
    assert len({text for c in found for text in (c.a, c.b)}) == 6
    assert len({r.seed for r in policy.asked}) == 6


def test_the_seeds_of_a_pair_do_not_depend_on_the_other_prompts(tmp_path: Path) -> None:
    *_, together = sampled(tmp_path / "a", [prompt("p0"), prompt("p1")])
    *_, alone = sampled(tmp_path / "b", [prompt("p1")])
    *_, reseeded = sampled(tmp_path / "c", [prompt("p1")], seed=1)
    assert alone.asked == together.asked[2:]
    assert not {r.seed for r in alone.asked} & {r.seed for r in reseeded.asked}


def test_pairs_of_equal_answers_are_dropped_and_counted(tmp_path: Path) -> None:
    def reply(request: Request, time: int) -> str:
        if request.messages[-1].content == "question p1":
            # Equal once cleaned: an announcement does not make an answer another one.
            return ("", "Revised answer: ")[time - 1] + "I will not do that for you."
        return different(request, time)

    manifest, found, dropped, _ = sampled(tmp_path, [prompt(f"p{n}") for n in range(3)], reply)
    assert [c.id for c in found] == ["p0/pair0", "p2/pair0"]
    assert manifest.dropped == {"pair_same_answer": 1}
    assert [(d.id, d.stage) for d in dropped] == [("p1/pair0", "pairs")]


@pytest.mark.parametrize("side", [1, 2])
def test_a_degenerate_answer_on_either_side_drops_the_pair(tmp_path: Path, side: int) -> None:
    def reply(request: Request, time: int) -> str:
        return "so it is " * 9 if time == side else different(request, time)

    manifest, found, _, _ = sampled(tmp_path, [prompt("p0")], reply)
    assert found == []
    assert manifest.dropped == {"pair_repetitive": 1}


class Listener:
    """Prefers the answer with the word good under every principle but `true`; hears everything."""

    identity = "listener@1"

    def __init__(self, silent_on: frozenset[str] = frozenset()) -> None:
        self.silent_on = silent_on
        self.heard: dict[str, list[str]] = {}
        self.calls = 0

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        self.calls += 1
        return [
            [self._vote(c, id) for id in ids]
            for c, ids in zip(comparisons, principles, strict=True)
        ]

    def _vote(self, comparison: Comparison, id: str) -> float | Abstention:
        self.heard.setdefault(comparison.id, []).append(id)
        if comparison.id in self.silent_on:
            return Abstention(comparison.id, "off_menu", self.identity)
        return 0.9 if ("good" in comparison.a) != (id == "true") else 0.1


def comparisons(count: int, kind: str = "redteam") -> list[Comparison]:
    origin = Origin("pairs", "policy@1")
    return [
        Comparison(f"{kind}{n}/pair0", prompt(f"{kind}{n}", kind), "good text", "bad text", origin)
        for n in range(count)
    ]


class Labels:
    """The labelling stage, run once or more."""

    def __init__(self, path: Path) -> None:
        self.folder = RunFolder(path).stage("feedback", "asked")

    def run(
        self,
        given: Sequence[Comparison],
        judge: Listener,
        config: FeedbackConfig | None = None,
        seed: int = 0,
    ) -> Manifest:
        deps = FeedbackDeps(judge, self.folder, seed, {"name": "a listener"})
        return feedback.run(given, CONSTITUTION, config or FeedbackConfig(), deps=deps)

    @property
    def kept(self) -> list[Labelled]:
        return list(self.folder.log(Labelled))


@pytest.fixture
def labels(tmp_path: Path) -> Labels:
    return Labels(tmp_path)


def test_one_principle_a_comparison_drawn_by_weight_among_those_that_fit(labels: Labels) -> None:
    judge = Listener()
    labels.run(comparisons(120), judge)
    drawn = Counter(heard[0] for heard in judge.heard.values())
    assert set(drawn) == HARMFUL
    # Weights 3 and 1: 90 of 120 expected; five standard deviations are 24.
    assert abs(drawn["no-harm"] - 90) <= 24
    # Both orders were asked under the same principle.
    assert all(len(heard) == 2 and len(set(heard)) == 1 for heard in judge.heard.values())


@pytest.mark.parametrize("kind", ["benign", "borderline", "unspecified"])
def test_answers_to_other_prompts_are_judged_by_help_and_honesty(labels: Labels, kind: str) -> None:
    judge = Listener()
    labels.run(comparisons(40, kind), judge)
    assert {id for heard in judge.heard.values() for id in heard} == HARMLESS


def test_all_principles_that_fit_count_the_same(labels: Labels) -> None:
    labels.run(comparisons(1), Listener(), FeedbackConfig(principles="all"))
    [record] = labels.kept
    assert isinstance(record.label, Verdict)
    assert {v.principle: v.weight for v in record.label.votes} == {"no-harm": 1.0, "gentle": 1.0}


def test_principles_that_fit_vote_with_their_weights(labels: Labels) -> None:
    given = [*comparisons(2), *comparisons(2, "benign")]
    labels.run(given, Listener(), FeedbackConfig(principles="weighted"))
    harmful, _, harmless, _ = (record.label for record in labels.kept)
    assert isinstance(harmful, Verdict) and isinstance(harmless, Verdict)
    assert [(v.principle, v.weight) for v in harmful.votes] == [("no-harm", 3.0), ("gentle", 1.0)]
    assert harmful.p_a == pytest.approx(0.9)
    assert {v.principle: v.p_a for v in harmless.votes} == {
        "useful": pytest.approx(0.9),
        "true": pytest.approx(0.1),
    }
    assert harmless.p_a == pytest.approx(0.5)


def test_the_tags_are_settings(labels: Labels) -> None:
    judge = Listener()
    labels.run(comparisons(5), judge, FeedbackConfig(harmful_tags=("else",)))
    assert {id for heard in judge.heard.values() for id in heard} == {"other"}


def test_the_draw_follows_the_seed_and_the_comparison_alone(tmp_path: Path) -> None:
    def drawn(name: str, given: Sequence[Comparison], seed: int = 0) -> dict[str, list[str]]:
        judge = Listener()
        Labels(tmp_path / name).run(given, judge, seed=seed)
        return judge.heard

    given = comparisons(40)
    first = drawn("first", given)
    assert drawn("again", given) == first
    assert drawn("part", given[30:]) == {c.id: first[c.id] for c in given[30:]}
    assert drawn("other", given, seed=1) != first


def test_abstentions_stay_in_the_records_and_are_counted(labels: Labels) -> None:
    silent = frozenset({"redteam1/pair0", "redteam4/pair0"})
    manifest = labels.run(comparisons(6), Listener(silent))
    assert manifest.kept == 6 and manifest.dropped == {}
    abstained = {r.comparison.id for r in labels.kept if isinstance(r.label, Abstention)}
    assert abstained == silent
    statistics = manifest.notes["statistics"]
    assert (statistics["n"], statistics["abstained"]) == (6, 2)
    assert statistics["abstention_reasons"] == {"off_menu": 2}
    assert statistics["judge"] == "listener@1"
    assert statistics["position_consistency"].n == 4
    assert manifest.notes["judge"] == {"name": "a listener"}


def test_finished_labels_are_not_made_again(labels: Labels) -> None:
    first = labels.run(comparisons(3), Listener())
    judge = Listener()
    again = labels.run(comparisons(3), judge)
    assert judge.calls == 0
    assert again.files == first.files
    assert again.notes["statistics"]["n"] == 3


def test_pairs_from_elsewhere_are_taken_but_for_prompts_of_the_evaluation(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path).stage("pairs", "asked")
    given, held_out = comparisons(4), [prompt("redteam2")]
    deps = PairsDeps(Sampler(different), folder)
    manifest = feedback.gather(given, held_out, deps=deps)
    assert list(folder.log(Comparison)) == [given[0], given[1], given[3]]
    assert manifest.dropped == {"held_out_prompt": 1}


def test_self_preference_is_measured_with_the_judges_own_likelihoods(labels: Labels) -> None:
    asked: list[str] = []

    def likes_bad(exchanges: Sequence[tuple[tuple[Message, ...], str]]) -> list[float]:
        asked.extend(answer for _, answer in exchanges)
        return [-1.0 if "bad" in answer else -2.0 for _, answer in exchanges]

    deps = FeedbackDeps(Listener(), labels.folder, likelihood=likes_bad)
    config = FeedbackConfig(self_preference=3)
    manifest = feedback.run(comparisons(5), CONSTITUTION, config, deps=deps)
    found = manifest.notes["statistics"]["self_preference"]
    # The judge prefers the good answer, its model finds the bad one more likely.
    assert (found.value, found.n) == (0.0, 3)
    assert len(asked) == 6


def test_without_a_local_model_there_is_no_self_preference(labels: Labels) -> None:
    manifest = labels.run(comparisons(1), Listener())
    assert manifest.notes["statistics"]["self_preference"] is None


def test_another_judge_needs_no_other_pairs() -> None:
    config = FeedbackConfig(judge="votes", principles="all", self_preference=0)
    assert config.about_pairs() == FeedbackConfig().about_pairs()
    assert FeedbackConfig(pairs_per_prompt=2).about_pairs() != FeedbackConfig().about_pairs()
