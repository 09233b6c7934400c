from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from charter.guard.features import ActivationReader, FeatureStore
from charter.guard.heads import ReadoutHeads, load_heads
from charter.guard.token_classifier import Mix, Reading, TokenClassifier, probability
from charter.models import hf
from charter.models.hf import HFModel
from charter.records import Message

LAYERS = (1, 2)


@pytest.fixture(scope="module")
def model(tiny_model_folder: Path) -> HFModel:
    return hf.load(str(tiny_model_folder))


def test_a_store_gives_back_what_was_put_in(tmp_path: Path) -> None:
    store, rows = FeatureStore(tmp_path, 3), np.arange(12).reshape(4, 3)
    store.append(["a", "b"], rows[:2])
    store.append(["c", "d"], rows[2:])
    again = FeatureStore(tmp_path, 3)
    assert again.missing(["d", "x", "a", "x"]) == ["x"]
    assert again.get(["d", "a"]).tolist() == [[9, 10, 11], [0, 1, 2]]


@pytest.mark.parametrize("cut", ["keys", "rows"])
def test_a_store_goes_on_where_a_kill_left_it(tmp_path: Path, cut: str) -> None:
    store = FeatureStore(tmp_path, 3)
    store.append(["aa", "bb", "cc"], np.ones((3, 3)))
    file = tmp_path / cut
    file.write_bytes(file.read_bytes()[:-2])  # half of the last entry
    again = FeatureStore(tmp_path, 3)
    assert again.missing(["aa", "bb", "cc"]) == ["cc"]
    again.append(["cc"], np.full((1, 3), 7.0))
    assert FeatureStore(tmp_path, 3).get(["bb", "cc"]).tolist() == [[1.0] * 3, [7.0] * 3]


def heads_for(model: HFModel) -> ReadoutHeads:
    source, width = np.random.default_rng(0), len(LAYERS) * model.hidden_size

    def weights(*shape: int) -> np.ndarray:
        return (source.normal(size=shape) / 8).astype(np.float16).astype(np.float32)

    return ReadoutHeads(
        weights(2, width), weights(2, width), weights(2), weights(width), 0.5, LAYERS
    )


def test_what_is_fitted_on_is_what_is_scored(model: HFModel, tmp_path: Path) -> None:
    heads, reader = heads_for(model), ActivationReader(model, LAYERS, tmp_path)
    turns = (Message("user", "Tell me a story of the river."),)
    answer = "I say the stone is good, and yes to that."
    classifier = TokenClassifier(model, heads, "x", Reading(prompt=Mix(1.0)))
    stream = classifier.start(turns)

    features = reader.prompts([turns])[0]
    both = np.concatenate([heads.prompt_mean_KF, heads.prompt_last_KF], 1)[0]
    expected = probability(float(features @ both + heads.prompt_bias_K[0]))
    assert stream.conversation_score == pytest.approx(expected, abs=2e-3)

    mean = float(reader.answers([(turns, answer)])[0] @ heads.answer_F) + heads.answer_bias
    tokens = reader.answer_tokens([(turns, answer)], lambda features: features)[0]
    logits = tokens @ heads.answer_F + heads.answer_bias
    assert logits.mean() == pytest.approx(mean, abs=2e-2)
    stream.feed(answer)
    peak = classifier.reading.smoothing.peak(logits)
    assert stream.feed("") == pytest.approx(probability(peak), abs=2e-3)


def test_heads_are_saved_in_half_precision(model: HFModel, tmp_path: Path) -> None:
    heads = heads_for(model)
    heads.save(tmp_path)
    again = load_heads(tmp_path, LAYERS)
    assert again.identity == heads.identity
    assert np.array_equal(again.prompt_mean_KF, heads.prompt_mean_KF)
