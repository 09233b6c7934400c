"""Linear readouts: planted directions are found, and what is saved is what is loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from charter.errors import ModelError
from charter.readout.features import FeatureSettings
from charter.readout.linear import CARD, WEIGHTS, Card, LinearReadout, fit_labels, fit_pairs, load

N, F = 600, 12
SCALES = np.geomspace(0.01, 100, F)
"""Features in very different units, as hidden states are."""


@pytest.fixture
def source() -> np.random.Generator:
    return np.random.default_rng(0)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def planted(source: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Features [2N, F] in their own units, and the direction [F] that makes an answer better."""
    features = source.normal(size=(2 * N, F)) * SCALES + 3 * SCALES
    return features, source.normal(size=F) / SCALES


def ordered(features: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = features[:N], features[N:]
    a_wins = ((a - b) @ direction > 0)[:, None]
    return np.where(a_wins, a, b), np.where(a_wins, b, a)


def test_pairs_reveal_the_direction_of_the_better_answer(source: np.random.Generator) -> None:
    features, direction = planted(source)
    better, worse = ordered(features, direction)
    weights = fit_pairs(better, worse, strength=1.0)
    assert weights.shape == (F,) and weights.dtype == np.float32
    assert cosine(weights * SCALES, direction * SCALES) > 0.97
    fresh = source.normal(size=(2 * N, F)) * SCALES
    gap = fresh[:N] - fresh[N:]
    assert np.mean((gap @ weights > 0) == (gap @ direction > 0)) > 0.93


def test_exchanging_the_sides_turns_the_direction_round(source: np.random.Generator) -> None:
    better, worse = ordered(*planted(source))
    weights = fit_pairs(better, worse, strength=1.0)
    np.testing.assert_allclose(fit_pairs(worse, better, strength=1.0), -weights, rtol=1e-3)


def test_a_label_of_one_half_teaches_nothing(source: np.random.Generator) -> None:
    better, worse = ordered(*planted(source))
    sure = fit_pairs(better, worse, strength=1.0)
    unsure = fit_pairs(better, worse, strength=1.0, p_N=np.full(N, 0.5))
    assert np.abs(unsure * SCALES).max() < 1e-3 * np.abs(sure * SCALES).max()


def test_soft_labels_lie_between_and_turn_the_sign(source: np.random.Generator) -> None:
    better, worse = ordered(*planted(source))
    sizes = {
        p: fit_pairs(better, worse, strength=1.0, p_N=np.full(N, p)) * SCALES
        for p in (1.0, 0.8, 0.2)
    }
    assert 0.02 < np.linalg.norm(sizes[0.8]) / np.linalg.norm(sizes[1.0]) < 0.9
    np.testing.assert_allclose(sizes[0.2], -sizes[0.8], rtol=1e-2, atol=1e-4)
    hard = fit_pairs(better, worse, strength=1.0)
    np.testing.assert_allclose(sizes[1.0], hard * SCALES, rtol=1e-5)


def test_soft_labels_are_fitted_as_probabilities(source: np.random.Generator) -> None:
    """One feature, one gap, a label of .8: the fitted logit must be log 4."""
    gap = np.ones((400, 1)) * source.choice([-1.0, 1.0], size=(400, 1))
    p = np.where(gap[:, 0] > 0, 0.8, 0.2)
    [weight] = fit_pairs(gap, np.zeros_like(gap), strength=1e6, p_N=p)
    assert weight == pytest.approx(np.log(4), rel=1e-3)


def test_labels_of_single_answers_reveal_direction_and_bias(source: np.random.Generator) -> None:
    features, direction = planted(source)
    logits = (features - features.mean(0)) @ direction
    labels = (logits > 0).astype(int)
    weights, bias = fit_labels(features, labels, strength=1.0)
    assert weights.shape == (F,) and weights.dtype == np.float32
    assert cosine(weights * SCALES, direction * SCALES) > 0.97
    assert np.mean((features @ weights + bias > 0) == (labels == 1)) > 0.95
    turned, other = fit_labels(features, 1 - labels, strength=1.0)
    np.testing.assert_allclose(turned, -weights, rtol=1e-3)
    assert other == pytest.approx(-bias, rel=1e-3)


def test_answers_without_weight_do_not_count(source: np.random.Generator) -> None:
    features, direction = planted(source)
    labels = ((features - features.mean(0)) @ direction > 0).astype(int)
    lies = np.arange(2 * N) % 3 == 0
    weights, _ = fit_labels(
        features, np.where(lies, 1 - labels, labels), strength=1.0, weights_N=1.0 - lies
    )
    assert cosine(weights * SCALES, direction * SCALES) > 0.97


@pytest.fixture
def readout(source: np.random.Generator) -> LinearReadout:
    return LinearReadout(
        source.normal(size=(2, F)),
        source.normal(size=2),
        Card("tiny@1", FeatureSettings(layer_step=3), ("calm", "brief"), {"licence": "MIT"}),
        {"question_bias": source.normal(size=2)},
    )


def test_axes_are_columns(readout: LinearReadout, source: np.random.Generator) -> None:
    features = source.normal(size=(5, F))
    expected = features @ readout.weights_KF[1] + readout.bias_K[1]
    np.testing.assert_allclose(readout.apply(features)[:, readout.axis("brief")], expected)


def test_a_saved_readout_is_loaded_as_it_was(
    readout: LinearReadout, tmp_path: Path, source: np.random.Generator
) -> None:
    readout.save(tmp_path / "r")
    found = load(tmp_path / "r")
    assert found.card == readout.card
    features = source.normal(size=(5, F))
    np.testing.assert_allclose(found.apply(features), readout.apply(features), rtol=1e-4, atol=1e-5)
    assert set(found.extra) == {"question_bias"}
    np.testing.assert_allclose(
        found.extra["question_bias"], readout.extra["question_bias"], rtol=1e-6
    )
    assert found.identity == readout.identity
    assert sorted(p.name for p in (tmp_path / "r").iterdir()) == sorted([CARD, WEIGHTS])


def test_saving_again_gives_the_same_bytes(readout: LinearReadout, tmp_path: Path) -> None:
    for name in ("a", "b"):
        readout.save(tmp_path / name)
    for file in (CARD, WEIGHTS):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_the_identity_follows_weights_extras_and_card(readout: LinearReadout) -> None:
    others = [
        replace(readout, weights_KF=readout.weights_KF * 1.01),
        replace(readout, bias_K=readout.bias_K + 0.01),
        replace(readout, extra={}),
        replace(readout, card=Card("other@1", readout.card.features, readout.card.axes)),
    ]
    assert len({readout.identity, *(other.identity for other in others)}) == 5


def damage_card(folder: Path) -> None:
    (folder / CARD).write_text('{"model": 3}')


def damage_weights(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:20])


def drop_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


def drop_card(folder: Path) -> None:
    (folder / CARD).unlink()


@pytest.mark.parametrize("damage", [damage_card, damage_weights, drop_weights, drop_card])
def test_a_damaged_folder_is_a_model_error(
    readout: LinearReadout, tmp_path: Path, damage: object
) -> None:
    readout.save(tmp_path)
    assert callable(damage)
    damage(tmp_path)
    with pytest.raises(ModelError, match="no readout in"):
        load(tmp_path)


def test_a_folder_that_is_not_there_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no readout in"):
        load(tmp_path / "none")
