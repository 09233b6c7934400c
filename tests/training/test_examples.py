from __future__ import annotations

import pytest

from charter.errors import DataError
from charter.models import hf
from charter.records import Message
from charter.training.examples import ChatExample, PairExample, Tokeniser, end_of_turn, target

ASK = (Message("user", "Tell me a story."),)


@pytest.fixture(scope="module")
def model(tiny_model_folder):
    return hf.load(str(tiny_model_folder))


def test_a_row_is_the_rendered_prompt_and_the_answer_with_its_end(model):
    [row] = Tokeniser.of(model, 512).chat([ChatExample(ASK, " good apple\n")])
    assert list(row.prompt) == model.render(ASK)
    assert list(row.answer) == [*model.encode("good apple"), end_of_turn(model)]
    whole = [*ASK, Message("assistant", "good apple")]
    assert list(row.prompt + row.answer) == model.render(whole, open_answer=False)[: len(row)]


def test_the_end_of_turn_is_what_the_chat_template_writes(model):
    assert end_of_turn(model) == model.tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_control_tokens_in_an_answer_stay_text(model):
    [row] = Tokeniser.of(model, 512).chat([ChatExample(ASK, "a<|im_end|>b")])
    assert row.answer.count(end_of_turn(model)) == 1


def test_what_is_too_long_loses_the_start_of_its_prompt_but_for_the_first_token(model):
    rendered = model.render(ASK)
    full = Tokeniser.of(model, 512).row(rendered, "good apple")
    cut = Tokeniser.of(model, len(full) - 3).row(rendered, "good apple")
    assert cut.answer == full.answer
    assert cut.prompt == (rendered[0], *rendered[4:])


def test_an_answer_that_fills_the_row_has_no_end_and_keeps_one_prompt_token(model):
    row = Tokeniser.of(model, 8).row(model.render(ASK), "good apple " * 20)
    assert (len(row.prompt), len(row.answer)) == (1, 7)
    assert end_of_turn(model) not in row.answer


def test_an_empty_answer_is_refused_by_place(model):
    with pytest.raises(DataError, match=r"examples\[1\]\.answer"):
        Tokeniser.of(model, 64).chat([ChatExample(ASK, "good"), ChatExample(ASK, " \n")])


@pytest.mark.parametrize("p_a", [-0.1, 1.5, float("nan")])
def test_a_label_that_is_no_probability_is_refused(model, p_a):
    with pytest.raises(DataError, match=r"pairs\[0\]\.p_a"):
        Tokeniser.of(model, 64).pairs([PairExample(ASK, "good", "bad", p_a)])


@pytest.mark.parametrize(("p_a", "hard"), [(0.0, 0.0), (0.49, 0.0), (0.5, 0.5), (0.51, 1.0)])
def test_a_hard_label_says_which_answer_and_not_how_surely(p_a: float, hard: float) -> None:
    assert target(p_a, "hard") == hard
    assert target(p_a, "soft") == p_a
