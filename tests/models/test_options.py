"""Likelihoods of options that one token does not tell apart."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from charter.models import hf
from charter.models.options import Options
from charter.records import Message

LOG = {token: math.log(p) for token, p in {1: 0.5, 2: 0.3, 3: 0.2}.items()}


def test_distinct_first_tokens_need_one_look_and_keep_their_likelihoods() -> None:
    options = Options([(1, 9), (2, 9, 9), (3,)])
    assert options.stems == [()]
    assert options.score({(): LOG}) == [LOG[1], LOG[2], LOG[3]]


def test_a_shared_first_token_is_looked_behind() -> None:
    options = Options([(1, 2, 7), (1, 3, 7)])
    assert options.stems == [(), (1,)]
    found = options.score({(): LOG, (1,): LOG})
    assert [math.exp(x) for x in found] == pytest.approx([0.5 * 0.3, 0.5 * 0.2])


def test_an_option_that_another_extends_is_what_is_left() -> None:
    """ "1" beside "10": a one that no zero follows."""
    options = Options([(1,), (1, 2), (3,)])
    assert options.stems == [(), (1,)]
    found = options.score({(): LOG, (1,): LOG})
    assert [math.exp(x) for x in found] == pytest.approx([0.5 * 0.7, 0.5 * 0.3, 0.2])


def test_a_longer_common_beginning() -> None:
    options = Options([(1, 1, 2), (1, 1, 3), (2,)])
    found = options.score({(): LOG, (1,): LOG, (1, 1): LOG})
    assert [math.exp(x) for x in found] == pytest.approx([0.25 * 0.3, 0.25 * 0.2, 0.3])


@pytest.fixture(scope="module")
def model(tiny_model_folder: Path) -> hf.HFModel:
    return hf.load(str(tiny_model_folder))


def slowly(model: hf.HFModel, messages: list[Message], tokens: list[int]) -> float:
    """log P(tokens | conversation), one whole pass."""
    ids = model.render(messages)
    with torch.inference_mode():
        logits = model.net(input_ids=torch.tensor([[*ids, *tokens]])).logits[0].log_softmax(-1)
    return sum(float(logits[len(ids) - 1 + i, token]) for i, token in enumerate(tokens))


def test_ten_is_told_from_one(model: hf.HFModel) -> None:
    one, ten = model.encode("1"), model.encode("10")
    assert ten[0] == one[0] and len(ten) == 2
    grades = [str(i) for i in range(1, 11)]
    ask = Message("user", "What is good?")
    found = model.choice_logprobs([ask], ["", " Say a number."], grades)
    for suffix, row in zip(("", " Say a number."), found, strict=True):
        talk = [Message("user", "What is good?" + suffix)]
        whole = math.exp(slowly(model, talk, one))
        zero = math.exp(slowly(model, talk, ten))
        assert math.exp(row[9]) == pytest.approx(zero, rel=1e-3)
        assert math.exp(row[0]) == pytest.approx(whole - zero, rel=1e-3)
        assert row[1] == pytest.approx(slowly(model, talk, model.encode("2")), abs=1e-4)


def test_letters_in_brackets_are_told_apart(model: hf.HFModel) -> None:
    options, talk = ["(A)", "(B)"], [Message("user", "What is good?")]
    assert model.encode("(A)")[0] == model.encode("(B)")[0]
    [row] = model.choice_logprobs(talk, [""], options)
    expected = [slowly(model, talk, model.encode(option)[:2]) for option in options]
    assert row == pytest.approx(expected, abs=1e-4)
    assert row[0] != row[1]
