"""Features of an answer: the same alone, in a batch, or beside other answers to its prompt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from charter.models import hf
from charter.readout.features import Exchange, FeatureReader, FeatureSettings
from charter.records import Message

QUESTION = "How do I bake bread? "
STORY = (Message("user", "Tell me a story."),)
PLAN = (
    Message("system", "Say something kind."),
    Message("user", "What is a good plan?"),
    Message("assistant", "Bake bread."),
    Message("user", QUESTION * 3),
)
ANSWERS = ["please", "No. That is not a good plan, sorry.", "a river of stone " * 6, "yes"]
EXCHANGES: list[Exchange] = [(context, text) for text in ANSWERS for context in (STORY, PLAN)]


@pytest.fixture(scope="module")
def model(tiny_model_folder: Path) -> hf.HFModel:
    return hf.load(str(tiny_model_folder))


@pytest.fixture(scope="module")
def alone(model: hf.HFModel) -> np.ndarray:
    """Features of `EXCHANGES`, each read by itself."""
    return np.concatenate([FeatureReader(model).read([exchange]) for exchange in EXCHANGES])


def test_batch_mates_and_a_shared_context_change_nothing(
    model: hf.HFModel, alone: np.ndarray
) -> None:
    together = FeatureReader(model).read(EXCHANGES)
    assert together.shape == (len(EXCHANGES), FeatureReader(model).width)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, alone, atol=1e-5)
    backwards = FeatureReader(model).read(EXCHANGES[::-1])[::-1]
    np.testing.assert_allclose(backwards, together, atol=1e-5)


def test_different_exchanges_have_different_features(model: hf.HFModel) -> None:
    found = FeatureReader(model).read(EXCHANGES)
    gaps = np.abs(found[:, None] - found[None]).max(-1)
    assert gaps[~np.eye(len(found), dtype=bool)].min() > 1e-2


def test_small_batches_give_the_same(tiny_model_folder: Path, alone: np.ndarray) -> None:
    narrow = hf.load(str(tiny_model_folder), batch_tokens=1)
    np.testing.assert_allclose(FeatureReader(narrow).read(EXCHANGES), alone, atol=1e-5)


def test_features_are_means_over_the_answers_tokens(model: hf.HFModel) -> None:
    """The slow and obvious way: one plain causal pass, and the mean of the answer's positions."""
    for context, text in EXCHANGES[:4]:
        stem, answer = model.render(context), model.encode(text.strip())
        with torch.inference_mode():
            states = model.net(
                input_ids=torch.tensor([stem + answer]), output_hidden_states=True, use_cache=False
            ).hidden_states
        expected = torch.cat([states[k][0, len(stem) :].mean(0) for k in (1, 2)])
        found = FeatureReader(model, FeatureSettings(layer_step=1)).read([(context, text)])[0]
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_what_was_read_costs_nothing_the_second_time(model: hf.HFModel) -> None:
    reader = FeatureReader(model)
    first = reader.read(EXCHANGES)
    paid = reader.tokens
    assert paid > 0
    np.testing.assert_array_equal(reader.read(EXCHANGES[::-1])[::-1], first)
    assert reader.tokens == paid
    reader.read([*EXCHANGES, (STORY, "something new")])
    new = len(model.render(STORY)) + len(model.encode("something new"))
    assert reader.tokens == paid + new


def test_a_shared_context_is_paid_for_once(model: hf.HFModel) -> None:
    reader = FeatureReader(model)
    reader.read([(PLAN, text) for text in ANSWERS])
    answers = sum(len(model.encode(text.strip())) for text in ANSWERS)
    assert reader.tokens == len(model.render(PLAN)) + answers


def test_one_exchange_asked_twice_in_a_call_is_read_once(model: hf.HFModel) -> None:
    reader = FeatureReader(model)
    found = reader.read([(STORY, "yes"), (STORY, "please"), (STORY, "yes")])
    np.testing.assert_array_equal(found[0], found[2])
    once = FeatureReader(model)
    once.read([(STORY, "yes"), (STORY, "please")])
    assert reader.tokens == once.tokens


def test_a_full_memory_forgets_but_stays_right(model: hf.HFModel, alone: np.ndarray) -> None:
    reader = FeatureReader(model, keep=2)
    for exchange, expected in zip(EXCHANGES, alone, strict=True):
        np.testing.assert_allclose(reader.read([exchange])[0], expected, atol=1e-5)
    np.testing.assert_allclose(reader.read(EXCHANGES), alone, atol=1e-5)


def test_long_answers_are_cut_at_their_end_and_long_contexts_at_their_start(
    model: hf.HFModel,
) -> None:
    settings = FeatureSettings(max_context=20, max_answer=5)
    reader = FeatureReader(model, settings)
    long, longer = "good bad yes no apple " * 3, "good bad yes no apple " * 5
    one, other = reader.read([(STORY, long), (STORY, longer)])
    np.testing.assert_allclose(one, other, atol=1e-5)
    ends_alike = [(Message("user", f"{start} {QUESTION * 4}"),) for start in ("a", "is")]
    rendered = [model.render(context) for context in ends_alike]
    assert rendered[0] != rendered[1] and rendered[0][-20:] == rendered[1][-20:]
    near, far = (FeatureReader(model, settings).read([(c, "yes")])[0] for c in ends_alike)
    np.testing.assert_allclose(near, far, atol=1e-5)


def test_the_last_layer_is_always_read(model: hf.HFModel) -> None:
    every, second = (FeatureReader(model, FeatureSettings(layer_step=n)) for n in (1, 2))
    assert (every.width, second.width) == (2 * model.hidden_size, model.hidden_size)
    all_layers, last = every.read(EXCHANGES), second.read(EXCHANGES)
    np.testing.assert_allclose(all_layers[:, model.hidden_size :], last, atol=1e-6)


def test_an_empty_answer_has_finite_features(model: hf.HFModel) -> None:
    assert np.isfinite(FeatureReader(model).read([(STORY, "  ")])).all()
