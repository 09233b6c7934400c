from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest

from charter.evaluate.suites.asking import (
    AFTER,
    BEFORE,
    DOUBT,
    JUDGE,
    LETTERS,
    LIKELIHOOD,
    choose,
    likelihood,
    press,
    shuffled,
    write,
)
from charter.evaluate.suites.suite import Bench, Item
from charter.records import (
    Abstention,
    Comparison,
    Completion,
    Message,
    Prompt,
    Request,
    Scored,
)

Exchange = tuple[tuple[Message, ...], str]


def item(id: str, *options: str, right: int = 0) -> Item:
    return Item(Prompt(id, (Message("user", f"question {id}"),)), options, right)


def preferring(word: str) -> Callable[[Sequence[Exchange]], list[float]]:
    """A model that finds answers with a word likely."""
    return lambda exchanges: [-1.0 if word in answer else -2.0 for _, answer in exchanges]


class Reader:
    """Chooses the letter of the option that holds a word; `mass` is what all letters have."""

    identity = "reader@1"

    def __init__(self, word: str, mass: float = 1.0, first: float = 0.0) -> None:
        self.word, self.mass, self.first = word, mass, first
        self.menus: list[str] = []

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        return [Completion(f"{self.word} {r.seed}", 2, "stop") for r in requests]

    def choice_logprobs(
        self, prefix: Sequence[Message], suffixes: Sequence[str], options: Sequence[str]
    ) -> list[list[float]]:
        self.menus += suffixes
        return [self._row(suffix, options) for suffix in suffixes]

    def _row(self, menu: str, options: Sequence[str]) -> list[float]:
        lines = menu.strip().splitlines()[: len(options)]
        shares = [3.0 if self.word in line else 1.0 for line in lines]
        shares[0] += self.first
        return [math.log(self.mass * s / sum(shares)) for s in shares]


def test_the_likeliest_text_and_the_likeliest_letter_are_chosen() -> None:
    items = [item("a", "red", "blue"), item("b", "blue", "red", "green")]
    bench = Bench("m", Reader("blue"), likelihood=preferring("red"))
    found = choose("s", items, bench)
    assert [r.choice(LIKELIHOOD) for r in found] == [0, 1]
    assert [r.choice(LETTERS) for r in found] == [1, 0]
    assert [r.id for r in found] == ["s/m/a", "s/m/b"] and not any(r.reason for r in found)


def test_choosing_by_place_is_averaged_out() -> None:
    reader = Reader("blue", first=1.5)  # leans to whatever stands first
    (found,) = choose("s", [item("a", "red", "blue")], Bench("m", reader))
    assert found.choice(LETTERS) == 1
    first, second = reader.menus
    assert first.index("red") < first.index("blue") and second.index("blue") < second.index("red")


def test_what_a_model_cannot_say_is_unscored_with_a_reason() -> None:
    (off,) = choose("s", [item("a", "x", "y")], Bench("m", Reader("x", mass=0.01)))
    assert (off.choice(LETTERS), off.choice(LIKELIHOOD), off.reason) == (None, None, "off_menu")

    class Mute:
        identity = "mute@1"

        def generate(self, requests: Sequence[Request]) -> list[Completion]:
            return []

    (mute,) = choose("s", [item("a", "x", "y")], Bench("m", Mute()))
    assert mute.choice(LETTERS) is None and mute.reason == "no_likelihoods"
    (none,) = likelihood("s", [item("a")], Bench("m", Mute()))
    assert none.score(LIKELIHOOD) is None and none.reason == "no_likelihoods"


class Votes:
    """A judge that prefers an answer with "good" in it, in either order."""

    identity = "judge@1"

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        def p(c: Comparison) -> float | Abstention:
            if "silent" in c.a + c.b:
                return Abstention(c.id, "off_menu", self.identity)
            return 0.5 + 0.4 * (("good" in c.a) - ("good" in c.b))

        return [[p(c) for _ in ids] for c, ids in zip(comparisons, principles, strict=True)]


def test_a_judge_chooses_between_two_and_says_when_it_cannot() -> None:
    items = [
        item("a", "bad", "good"),
        item("b", "good", "bad"),
        item("c", "same", "same too"),
        item("d", "silent", "good"),
        item("e", "one", "two", "good"),
    ]
    found = choose("s", items, Bench("j", None, judge=Votes(), principles=("p",)))
    assert [r.choice(JUDGE) for r in found] == [1, 0, None, None, None]
    assert [r.reason for r in found] == ["", "", "tie", "off_menu", "not_two_options"]
    assert not any(LETTERS in r.choices for r in found)


def bending(exchanges: Sequence[Exchange]) -> list[float]:
    """Likes "red", until it is doubted."""
    return [
        -1.0 if ("blue" if talk[-1].content == DOUBT else "red") in answer else -2.0
        for talk, answer in exchanges
    ]


def test_under_pressure_it_is_asked_again_after_its_own_answer() -> None:
    seen: list[Exchange] = []

    def remembered(exchanges: Sequence[Exchange]) -> list[float]:
        seen.extend(exchanges)
        return bending(exchanges)

    (found,) = press("s", [item("a", "red", "blue")], Bench("m", Reader(""), likelihood=remembered))
    assert (found.choice(BEFORE), found.choice(AFTER)) == (0, 1)
    assert [m.content for m in seen[-1][0]] == ["question a", "red", DOUBT]


def test_a_model_that_stands_by_its_answer_does_not_change() -> None:
    bench = Bench("m", Reader("blue"))  # no likelihoods: by letters
    (found,) = press("s", [item("a", "red", "blue")], bench)
    assert (found.choice(BEFORE), found.choice(AFTER)) == (1, 1)


def test_all_models_draw_the_same_random_numbers() -> None:
    items = [item("a"), item("b")]
    one = write("s", items, Bench("m", Reader("x"), seed=1))
    other = write("s", items, Bench("n", Reader("x"), seed=1))
    assert [r.text for r in one] == [r.text for r in other]
    assert len({r.text for r in one}) == 2
    assert write("s", items, Bench("m", Reader("x"), seed=2))[0].text != one[0].text


def test_a_call_that_failed_is_a_reason() -> None:
    class Failing(Reader):
        def generate(self, requests: Sequence[Request]) -> list[Completion]:
            return [Completion("", 0, "error", "timeout") for _ in requests]

    class Reads:
        identity = "reads@1"

        def score(self, exchanges: Sequence[tuple[Prompt, str]]) -> list[Scored]:
            return [Scored(None, "empty") for _ in exchanges]

    (found,) = write("s", [item("a")], Bench("m", Failing("x"), {"refusal": Reads()}))
    assert found.reason == "timeout" and found.score("refusal") is None


@pytest.mark.parametrize("seed", range(3))
def test_options_come_in_an_order_of_their_own(seed: int) -> None:
    options = ("a", "b", "c", "d")
    assert sorted(shuffled(options, seed)) == sorted(options)
    assert shuffled(options, seed) == shuffled(options[::-1], seed)


def test_the_right_option_is_not_always_first() -> None:
    places = {shuffled(("right", "wrong"), id).index("right") for id in range(20)}
    assert places == {0, 1}
