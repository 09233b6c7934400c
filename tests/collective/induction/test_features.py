"""Traits and words as features: what they count, and which pool they make."""

from __future__ import annotations

import numpy as np
import pytest

from charter.collective.induction import mining, traits, words
from charter.collective.induction.preferences import Preferences
from charter.collective.induction.scripted import ScriptedJudge
from charter.records import Comparison, Message, Origin, Prompt


def compared(a: str, b: str, question: str = "What now?") -> Comparison:
    prompt = Prompt("p", (Message("user", question),))
    return Comparison("pair", prompt, a, b, Origin("test", "nobody"))


MORE = [
    ("length", "one two three four five", "one two"),
    ("lists", "Do this:\n- eat\n- sleep", "Eat, then sleep."),
    ("questions", "What do you need?", "Here it is."),
    ("willing", "Of course! I am happy to help.", "Fine, I guess."),
    ("grudging", "I guess I can if I have to.", "Of course!"),
    ("hedging", "It may be so, perhaps.", "It is so."),
    ("polite", "Thank you, please sit down.", "Sit down."),
    ("apology", "Sorry, I cannot do that.", "No."),
    ("numbers", "It has 4 legs and 2 ears.", "It has legs and ears."),
    ("contractions", "It's what I don't like.", "It is what I do not like."),
    ("names", "You could see the Lake District.", "You could see some hills."),
    ("self-disclosure", "As an AI, I have none.", "I have none."),
    ("warning", "That is dangerous.", "That is fine."),
    ("professional", "Please see a doctor.", "Rest a little."),
    ("emoji", "Well done 🎉", "Well done"),
]


@pytest.mark.parametrize(("id", "more", "less"), MORE)
def test_a_trait_tells_the_answers_apart_in_both_orders(id: str, more: str, less: str) -> None:
    [trait] = [one for one in traits.features() if one.id == id]
    assert trait.vote("What now?", more, less) == 1
    assert trait.vote("What now?", less, more) == -1
    assert trait.vote("What now?", more, more) == 0


def test_a_name_from_the_question_names_nothing_new() -> None:
    [names] = [one for one in traits.features() if one.id == "names"]
    assert names.vote("Tell me about Paris", "I like Paris", "I like it") == 0


def test_nearly_equal_lengths_are_equal() -> None:
    [length] = [one for one in traits.features() if one.id == "length"]
    assert length.vote("", "a " * 100, "a " * 90) == 0
    assert length.vote("", "a " * 100, "a " * 80) == 1


def test_harmony_is_no_warning() -> None:
    [warning] = [one for one in traits.features() if one.id == "warning"]
    assert warning.measure("", "a harmonious harmony") == 0


def test_every_trait_has_an_id_of_its_own_and_two_wordings() -> None:
    found = traits.features()
    assert len({one.id for one in found}) == len(found) >= 35
    titles = [w.title for one in found for w in (one.more, one.less)]
    assert len(set(titles)) == len(titles)


def test_words_and_pairs_of_words_without_the_common_ones() -> None:
    assert words.grams("The Cat’s on a mat") == {"cat's", "mat", "the cat's", "cat's on", "a mat"}


def test_the_pool_of_words_is_made_of_those_that_differ_often_enough() -> None:
    pairs = [compared(f"cat {n}x", f"dog {n}y") for n in range(4)]
    ids = [one.id for one in words.pool(pairs, least=3)]
    assert ids == ["word:cat", "word:dog", "contrast:cat/dog"]
    assert words.pool(pairs, least=5) == []


def test_a_contrast_still_votes_where_only_one_of_its_words_is_there() -> None:
    pairs = [compared(f"cat {n}x", f"dog {n}y") for n in range(4)]
    [contrast] = [one for one in words.pool(pairs, least=3) if one.family == "contrast"]
    assert contrast.vote("", "a cat", "a bird") == 1
    assert contrast.vote("", "a bird", "a dog") == 1
    assert contrast.vote("", "a cat and a dog", "a bird") == 0


def test_the_pool_does_not_depend_on_the_order_of_the_answers(planted: Preferences) -> None:
    given = mining.pool(planted.comparisons)
    swapped = mining.pool([c.swap() for c in planted.comparisons])
    assert [f.id for f in given.features] == [f.id for f in swapped.features]
    assert np.array_equal(given.votes_PN, -swapped.votes_PN)


def test_candidates_that_vote_alike_are_one_and_the_contrast_speaks_for_them(
    planted: Preferences,
) -> None:
    found = mining.mine(mining.pool(planted.comparisons), planted.signs, most=40, seed=0)
    by_title = {one.candidate.wording.title: one for one in found}
    oak = by_title["Rather “oak” than “pine”"]
    assert {"Mentions “oak”", "Leaves out “pine”"} <= set(oak.candidate.alike)
    assert oak.p_family < 0.01
    assert len({one.candidate.id for one in found}) == len(found)


def test_the_scripted_judge_says_a_half_where_answers_do_not_differ() -> None:
    [asks] = [one for one in traits.features() if one.id == "questions"]
    judge = ScriptedJudge({"asks": (asks, 1), "tells": (asks, -1)})
    pairs = [compared("What?", "So."), compared("So.", "What?"), compared("So.", "And.")]
    votes = judge.vote(pairs, [["asks", "tells"]] * 3)
    assert votes == [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]
