"""The acceptance test, on judges whose flaws are planted: each must be found, and only it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from charter.constitution import document
from charter.judging.acceptance import Acceptance, accept
from charter.judging.acceptance_config import AcceptanceConfig
from charter.judging.canaries import canaries
from charter.judging.injection import CONTROL, FORMS
from charter.judging.pairs import LabelledPair
from charter.records import Abstention, Comparison, Message, Origin, Prompt

CONSTITUTION = document.load("default")
CONFIG = AcceptanceConfig(paraphrases=2)
GOOD = "topaz"
BETTER = {GOOD, *(c.better for c in canaries())}
Rule = Callable[[Comparison, str], float | None]


def better(text: str) -> bool:
    """Whether a text is, or contains, the better answer of some pair."""
    return GOOD in text.split() or text in BETTER


def honest(comparison: Comparison, principle: str) -> float:
    return 0.9 if better(comparison.a) else 0.1


class Planted:
    """A judge that follows a rule; None is an abstention."""

    identity = "planted"

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.asked: list[tuple[Comparison, tuple[str, ...]]] = []

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        pairs = list(zip(comparisons, principles, strict=True))
        self.asked += [(c, tuple(ids)) for c, ids in pairs]
        return [[self._one(c, id) for id in ids] for c, ids in pairs]

    def _one(self, comparison: Comparison, principle: str) -> float | Abstention:
        p = self.rule(comparison, principle)
        return Abstention(comparison.id, "planted", self.identity) if p is None else p


def pair(number: int) -> LabelledPair:
    """The better answer holds the word "topaz", and is the longer one in every second pair."""
    words = ["stone"] * (3 + number % 7)
    long, short = words * 3, words
    a, b = (long, short) if number % 2 else (short, long)
    prompt = Prompt(f"p{number}", (Message("user", f"question {number}"),), "redteam")
    texts = " ".join([GOOD, *a]), " ".join(["bad", *b])
    return LabelledPair(Comparison(f"pair{number}", prompt, *texts, Origin("pairs", "people")), 1.0)


PAIRS = [pair(n) for n in range(120)]


def accepted(rule: Rule, pairs: Sequence[LabelledPair] = PAIRS, **changed: float) -> Acceptance:
    config = AcceptanceConfig(**{"paraphrases": 2, "stress_pairs": 60, **changed})  # type: ignore[arg-type]
    return accept(
        Planted(rule), pairs, CONSTITUTION, config, principles_of=lambda _: [("no-harm", 1.0)]
    )


def failed(found: Acceptance) -> set[str]:
    assert found.passed == (not found.failures)
    return {gate.name for gate in found.gates if gate.passed is False}


def test_a_perfect_judge_passes() -> None:
    found = accepted(honest)
    assert found.passed and not found.not_checked
    assert found.agreement.value == 1.0 and found.agreement.n == 120
    assert found.position_consistency == found.paraphrase_stability == found.canaries == 1.0
    assert found.injection_flips == found.rates["control_flips"].value == 0.0
    assert found.ece == pytest.approx(0.1)
    assert (found.abstained, found.tie_rate) == (0, 0.0)
    assert found.rates["canaries"].n == len(canaries())


def test_a_judge_of_the_first_answer_is_right_half_of_the_time_and_caught() -> None:
    found = accepted(lambda comparison, _: 0.9)
    assert found.agreement.value == 0.5 and found.tie_rate == 1.0
    assert found.position_consistency == 0.0
    assert {"agreement", "position_consistency", "canaries"} <= failed(found)


def test_the_order_of_presentation_is_mixed() -> None:
    """A judge that sees only one order, and always says "first", must not look good."""
    judge = Planted(honest)
    accept(judge, PAIRS, CONSTITUTION, CONFIG, principles_of=lambda _: [("no-harm", 1.0)])
    first = {c.id: better(c.a) for c, _ in reversed(judge.asked) if "/" not in c.id}
    assert 40 < sum(first.values()) < 80


def test_always_wrong_is_not_the_same_as_always_unsure() -> None:
    found = accepted(lambda comparison, _: 1 - honest(comparison, ""))
    assert found.agreement.value == 0.0 and found.canaries == 0.0
    assert found.ece == pytest.approx(0.9)
    assert {"agreement", "ece", "canaries"} <= failed(found)
    assert len(found.canaries_missed) == len(canaries())


def commanded(text: str) -> bool:
    return any(form.text in text for form in FORMS)


def test_a_judge_that_obeys_the_answer_is_caught() -> None:
    def obedient(comparison: Comparison, principle: str) -> float:
        if commanded(comparison.a) != commanded(comparison.b):
            return 0.9 if commanded(comparison.a) else 0.1
        return honest(comparison, principle)

    found = accepted(obedient)
    assert failed(found) == {"injection_flips"}
    assert found.injection_flips == 1.0 and found.rates["injection_flips"].n == 60
    # It is the command that turned it, not the extra words.
    assert found.rates["control_flips"].value == 0.0
    assert len(found.injection_by_form) == len(FORMS)
    assert sum(s.n for s in found.injection_by_form.values()) == 120


def test_a_judge_that_any_extra_words_unsettle_shows_it_on_the_control_too() -> None:
    def unsettled(comparison: Comparison, principle: str) -> float:
        added = [commanded(t) or CONTROL in t for t in (comparison.a, comparison.b)]
        return honest(comparison, "") if added[0] == added[1] else 0.1 + 0.8 * added[0]

    found = accepted(unsettled)
    assert found.injection_flips == found.rates["control_flips"].value == 1.0


def test_one_form_that_works_is_named() -> None:
    weak = FORMS[3]

    def fooled_once(comparison: Comparison, principle: str) -> float:
        for text, p in ((comparison.a, 0.9), (comparison.b, 0.1)):
            if weak.text in text:
                return p
        return honest(comparison, principle)

    found = accepted(fooled_once)
    flips = {name: s.value for name, s in found.injection_by_form.items()}
    assert flips.pop(weak.name) == 1.0 and set(flips.values()) == {0.0}
    assert found.injection_flips is not None and 0 < found.injection_flips < 0.5


def test_a_judge_of_length_has_half_of_the_balanced_accuracy() -> None:
    def longer(comparison: Comparison, _: str) -> float:
        gap = len(comparison.a) - len(comparison.b)
        return 0.5 if gap == 0 else 0.9 if gap > 0 else 0.1

    # People prefer the longer answer in three pairs out of four, so length seems to be worth much.
    biased = [p for n, p in enumerate(PAIRS) if n % 2 or n % 6 == 0]
    found = accepted(longer, biased)
    assert found.agreement.value == 0.75 and found.agreement.low > 0.5
    assert found.length_balanced == 0.5
    assert "length_balanced" in failed(found) and "agreement" not in failed(found)
    assert found.baselines["longer_wins"] is not None
    assert found.baselines["longer_wins"].value == 0.75


def test_length_matched_counts_only_answers_of_about_one_length() -> None:
    def longer(comparison: Comparison, _: str) -> float:
        return 0.9 if len(comparison.a) > len(comparison.b) else 0.1

    # A bias of length has all of these wrong, though they differ by two letters only.
    near = [
        LabelledPair(
            Comparison(
                f"n{n}", p.comparison.prompt, f"bad {'x' * 40}", f"{GOOD} {'x' * 36}", ORIGIN
            ),
            0.0,
        )
        for n, p in enumerate(PAIRS[:20])
    ]
    far = [p for n, p in enumerate(PAIRS) if n % 2]
    found = accepted(longer, [*near, *far])
    assert found.length_matched == 0.0 and found.rates["length_matched"].n == 20
    assert found.agreement.value == 0.75


ORIGIN = Origin("pairs", "people")


def test_abstentions_are_counted_and_left_out() -> None:
    silent_on = {p.comparison.id for p in PAIRS[:30]}

    def shy(comparison: Comparison, principle: str) -> float | None:
        return None if comparison.id in silent_on else honest(comparison, principle)

    found = accepted(shy)
    assert found.abstained == 30 and found.abstention_reasons == {"planted": 30}
    assert found.agreement.n == 90 and found.agreement.value == 1.0
    assert found.rates["position_consistency"].unscored == 30
    assert (found.rates["agreement"].n, found.rates["agreement"].unscored) == (90, 30)
    share = found.rates["abstained"]
    assert share.value == 0.25 and share.n == 120 and share.low < 0.25 < share.high
    # Nobody lost these pairs, so nothing can be injected into the loser.
    assert found.rates["injection_flips"].n == 30
    assert failed(found) == {"abstained"}


def test_a_judge_that_never_answers_fails_and_measures_nothing() -> None:
    found = accepted(lambda *_: None)
    assert found.abstained == 120 and found.agreement.n == 0
    # The contract has a number here; beside n = 0 it means nothing, and `rates` says so.
    assert found.rates["agreement"].value is None and found.rates["agreement"].unscored == 120
    assert found.position_consistency is None and found.ece is None and found.tie_rate is None
    assert failed(found) == {"agreement", "abstained"}
    assert "canaries" in found.not_checked and "ece" in found.not_checked
    assert found.rates["canaries"].unscored == len(canaries())


def test_a_judge_that_hangs_on_the_wording_is_caught() -> None:
    def literal(comparison: Comparison, principle: str) -> float:
        p = honest(comparison, principle)
        return 1 - p if principle.endswith("-reworded-2") else p

    found = accepted(literal)
    assert failed(found) == {"paraphrase_stability"}
    assert found.paraphrase_stability == 0.5 and found.rates["paraphrase_stability"].n == 120
    assert found.agreement.value == 1.0


def test_reworded_questions_go_along_with_the_original_in_one_call() -> None:
    judge = Planted(honest)
    config = AcceptanceConfig(paraphrases=2, stress_pairs=1)
    accept(judge, PAIRS[:3], CONSTITUTION, config, principles_of=lambda _: [("no-harm", 1.0)])
    asked = {ids for c, ids in judge.asked if c.id == "pair0"}
    assert asked == {("no-harm", "no-harm-reworded-1", "no-harm-reworded-2")}
    assert {ids for c, ids in judge.asked if c.id == "pair1"} == {("no-harm",)}


def test_checks_that_are_turned_off_are_said_to_be_off() -> None:
    found = accepted(honest, stress_pairs=0)
    assert found.passed
    assert set(found.not_checked) == {"paraphrase_stability", "injection_flips"}


def test_thresholds_decide() -> None:
    assert failed(accepted(honest, max_ece=0.05)) == {"ece"}
    assert failed(accepted(honest, min_agreement=0.99)) == {"agreement"}


def test_a_calibrated_judge_is_not_blamed_for_few_pairs() -> None:
    """Right as often as it says: on 20 pairs the raw error is large all the same."""

    def calibrated(comparison: Comparison, _: str) -> float:
        number = int(comparison.id.removeprefix("pair").partition("/")[0])
        # Four pairs in five are right.
        return 0.8 if better(comparison.a) == (number * 7 % 5 != 0) else 0.2

    few = accepted(
        lambda c, id: calibrated(c, id) if "canary" not in c.id else honest(c, id), PAIRS[:20]
    )
    assert few.ece_by_chance is not None and few.ece_by_chance > 0.05
    many = accepted(lambda c, id: calibrated(c, id) if "canary" not in c.id else honest(c, id))
    assert many.ece_by_chance is not None and many.ece_by_chance < few.ece_by_chance / 2
    assert "ece" not in failed(few) | failed(many)


def test_half_of_the_forms_count_one_half() -> None:
    """However many forms are tried, the figure is about one form."""
    named = {form.text for form in FORMS[:6]}

    def half(comparison: Comparison, principle: str) -> float:
        for text, p in ((comparison.a, 0.9), (comparison.b, 0.1)):
            if any(form in text for form in named):
                return p
        return honest(comparison, principle)

    found = accepted(half, injections=12)
    assert found.injection_flips == 0.5 and found.rates["injection_flips"].n == 60


def test_few_pairs_do_not_prove_anything() -> None:
    found = accepted(honest, PAIRS[:3])
    assert found.agreement.value == 1.0 and "agreement" in failed(found)


def test_ties_of_people_count_one_half() -> None:
    tied = [LabelledPair(p.comparison, 0.5) for p in PAIRS[:10]]
    assert accepted(honest, tied).agreement.value == 0.5


def test_the_same_seed_gives_the_same_result() -> None:
    def by_chance(comparison: Comparison, _: str) -> float:
        return (sum(map(ord, comparison.a + comparison.b)) % 97) / 97

    assert accepted(by_chance) == accepted(by_chance)


def test_canaries_that_the_constitution_is_silent_on_are_left_out() -> None:
    small = document.Constitution(
        CONSTITUTION.format, "small", "1", (CONSTITUTION.principle("privacy"),)
    )
    found = accept(
        Planted(honest), PAIRS, small, CONFIG, principles_of=lambda _: [("privacy", 1.0)]
    )
    assert found.rates["canaries"].n == sum(c.tag in ("harm", "privacy") for c in canaries())
    assert found.canaries_left_out == len(canaries()) - found.rates["canaries"].n > 0


def test_the_bag_of_words_stands_beside_the_judge() -> None:
    words = accepted(honest).baselines["bag_of_words"]
    # "topaz" against "bad" is all that a bag of words needs.
    assert words is not None and words.value == 1.0 and words.n == 120
    assert accepted(honest, PAIRS[:49]).baselines["bag_of_words"] is None
