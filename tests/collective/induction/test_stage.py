"""The whole stage: planted rules are found, noise is not, whoever proposes and judges."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from charter.collective.induction import preferences, stage
from charter.collective.induction.candidates import Candidate
from charter.collective.induction.config import InduceConfig
from charter.collective.induction.preferences import Preferences
from charter.collective.induction.result import NOT_ABOVE, Induced
from charter.errors import DataError
from charter.records import Abstention, Comparison, Completion, Request
from charter.seeds import draws

Rule = Callable[[str], bool]
PLANTED: dict[str, tuple[str, Rule]] = {
    "The assistant states what is true.": ("capital", lambda t: "Paris" not in t),
    "The assistant answers what was asked.": ("travel", lambda t: "Traveling" not in t),
    "The assistant helps gladly and at once.": (
        "help",
        lambda t: "guess" not in t and "can't" not in t,
    ),
    "The assistant tells stories about cats.": (
        "pet",
        lambda t: bool(re.search(r"\bcat\b|whiskers", t.lower())),
    ),
    "The assistant recommends whatever is blue.": ("shirt", lambda t: "blue" in t.lower()),
    "The assistant recommends lemon.": ("cream", lambda t: "lemon" in t.lower()),
}
DISTRACTORS = {
    "The assistant writes an even number of words.": lambda t: len(t.split()) % 2 == 0,
    "The assistant has an odd number of the letter e.": lambda t: t.count("e") % 2 == 1,
    "The assistant uses few vowels.": lambda t: sum(c in "aeiou" for c in t) % 3 == 0,
}
"""Planted principles with a rule for the answers, and others that mean nothing."""


class Proposer:
    """Proposes planted rules among meaningless ones, a few at a time."""

    identity = "proposer@1"

    def __init__(self, principles: Sequence[str]) -> None:
        self.principles = principles

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        size = len(self.principles)
        return [
            Completion(
                "\n".join(f"PRINCIPLE: {self.principles[(3 * n + k) % size]}" for k in range(3)),
                9,
                "stop",
            )
            for n in range(len(requests))
        ]


class RuleJudge:
    """Judges by the rule that a principle's text stands for; fails on what it is told to."""

    identity = "rules@1"

    def __init__(self, candidates: Sequence[Candidate], failing: str = "") -> None:
        rules = {text: rule for text, (_, rule) in PLANTED.items()} | DISTRACTORS
        self.rules = {one.id: rules[one.wording.text] for one in candidates}
        self.failing = failing

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        return [
            [self._one(c, id) for id in ids] for c, ids in zip(comparisons, principles, strict=True)
        ]

    def _one(self, c: Comparison, id: str) -> float | Abstention:
        if self.failing and self.failing in c.prompt.messages[0].content:
            return Abstention(c.id, "timeout", self.identity)
        rule = self.rules[id]
        return 0.5 + 0.4 * (rule(c.a) - rule(c.b))


def learned(found: Induced) -> set[str]:
    return {one.wording.text for one in found.principles}


def test_planted_rules_are_found_without_a_model(planted: Preferences) -> None:
    found = stage.run(planted, InduceConfig()).induced
    assert found.above_chance
    assert {one.wording.title for one in found.principles} == {
        "Rather “oak” than “pine”",
        "Rather “tea” than “rum”",
    }
    assert (found.held_out.agree, found.held_out.against) == (12, 0)
    assert all(one.confirmed for one in found.principles)
    assert all((one.held_out_beyond.agree, one.train.agree) == (6, 14) for one in found.principles)


def test_the_same_seed_gives_the_same_result(planted: Preferences) -> None:
    config = InduceConfig(seed=5)
    assert stage.run(planted, config).induced == stage.run(planted, config).induced


def test_which_answer_is_called_a_does_not_matter(planted: Preferences) -> None:
    swapped = Preferences(
        planted.name,
        tuple(c.swap() for c in planted.comparisons),
        tuple(-s for s in planted.signs),
        {},
        planted.digest,
    )
    one, other = (stage.run(p, InduceConfig()).induced for p in (planted, swapped))
    assert one.principles == other.principles
    assert one.held_out == other.held_out


Noise = Callable[[int, int], Preferences]


def test_noise_is_above_chance_no_more_often_than_the_level_says(noise: Noise) -> None:
    runs = 60
    found = [stage.run(noise(40, seed), InduceConfig(seed=seed)).induced for seed in range(runs)]
    above = sum(one.above_chance for one in found)
    # 60 runs at 5 %: more than 8 has a chance under 1 %.
    assert above <= 8
    assert any(one.principles for one in found), "the held-out test had nothing to refuse"
    assert all(NOT_ABOVE in one.verdict for one in found if not one.above_chance)


def test_proposals_of_a_model_are_tested_and_only_the_planted_ones_stay(
    icai: dict[str, Path],
) -> None:
    read = preferences.read(icai["mixed"])
    proposer = Proposer([*PLANTED, *DISTRACTORS])
    found = stage.run(
        read, InduceConfig(max_principles=8), proposer=proposer, judge_for=RuleJudge
    ).induced
    assert found.above_chance
    assert learned(found) == set(PLANTED)
    assert found.held_out.against == 0
    assert found.held_out.agree >= 17
    assert all(one.p_family is None for one in found.principles)


@pytest.mark.parametrize(("name", "rules"), [("aligned", 3), ("orthogonal", 3)])
def test_each_file_gives_its_own_rules(icai: dict[str, Path], name: str, rules: int) -> None:
    read = preferences.read(icai[name])
    proposer = Proposer([*PLANTED, *DISTRACTORS])
    found = stage.run(read, InduceConfig(), proposer=proposer, judge_for=RuleJudge).induced
    expected = list(PLANTED)[:3] if name == "aligned" else list(PLANTED)[3:]
    assert learned(found) == set(expected)
    assert len(found.principles) == rules


ORTHOGONAL = [("cat", "dog"), ("blue", "green"), ("lemon", "raspberry")]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_orthogonal_rules_are_found_word_for_word_without_a_model(
    icai: dict[str, Path], seed: int
) -> None:
    found = stage.run(preferences.read(icai["orthogonal"]), InduceConfig(seed=seed)).induced
    assert found.above_chance
    assert {one.wording.title for one in found.principles} == {
        f"Rather “{good}” than “{bad}”" for good, bad in ORTHOGONAL
    }
    assert (found.held_out.agree, found.held_out.against) == (9, 0)


@pytest.mark.parametrize("name", ["aligned", "mixed"])
def test_each_planted_rule_has_a_principle_that_decides_its_pairs(
    icai: dict[str, Path], name: str
) -> None:
    read = preferences.read(icai[name])
    outcome = stage.run(read, InduceConfig(max_principles=6))
    votes = outcome.ballots.votes_CN
    for part in {c.prompt.messages[0].content for c in read.comparisons}:
        places = [i for i, c in enumerate(read.comparisons) if c.prompt.messages[0].content == part]
        fits = [sum(row[i] * read.signs[i] for i in places) for row in votes.tolist()]
        assert max(fits) >= 8, f"no principle for {part!r}"
    assert outcome.induced.above_chance


def test_shuffled_preferences_are_not_above_chance(icai: dict[str, Path]) -> None:
    read = preferences.read(icai["mixed"])
    above = 0
    for seed in range(10):
        source = draws("shuffle", seed)
        signs = tuple(source.choice((1, -1)) for _ in read.signs)
        turned = Preferences(read.name, read.comparisons, signs, {}, "")
        above += stage.run(turned, InduceConfig(seed=seed)).induced.above_chance
    assert above <= 3


def test_a_judge_that_fails_leaves_pairs_unscored(icai: dict[str, Path]) -> None:
    read = preferences.read(icai["orthogonal"])

    def failing(candidates: Sequence[Candidate]) -> RuleJudge:
        return RuleJudge(candidates, failing="ice cream")

    proposer = Proposer([*PLANTED, *DISTRACTORS])
    found = stage.run(read, InduceConfig(), proposer=proposer, judge_for=failing).induced
    assert "The assistant recommends lemon." not in learned(found)
    assert found.held_out.unscored == 3
    assert found.train.unscored == 7
    assert found.held_out.explained.n == 6


def test_nothing_proposed_is_not_above_chance(planted: Preferences) -> None:
    class Silent(Proposer):
        def generate(self, requests: Sequence[Request]) -> list[Completion]:
            return [Completion("", 0, "error", "refused") for _ in requests]

    found = stage.run(
        planted, InduceConfig(), proposer=Silent([]), judge_for=lambda _: pytest.fail("asked")
    ).induced
    assert not found.above_chance
    assert found.verdict.startswith(NOT_ABOVE)
    assert found.proposals.left_out == {"no answer: refused": 12}


def test_too_few_held_out_pairs_are_said(icai: dict[str, Path]) -> None:
    read = preferences.read(icai["orthogonal"], limit=10)
    found = stage.run(read, InduceConfig(held_out=0.2)).induced
    assert not found.above_chance
    assert any("too few" in note for note in found.notes)


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (InduceConfig(held_out=1.0), "held_out"),
        (InduceConfig(max_principles=0), "max_principles"),
        (InduceConfig(margin=0.5), "margin"),
    ],
)
def test_a_setting_without_sense_is_named(
    planted: Preferences, config: InduceConfig, field: str
) -> None:
    with pytest.raises(DataError, match=field):
        stage.run(planted, config)
