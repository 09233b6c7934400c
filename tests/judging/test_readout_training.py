"""Fitting a judge: a planted direction is found, calibrated, and reported on unseen prompts."""

from __future__ import annotations

import numpy as np
import pytest

from charter.errors import TrainingError
from charter.judging.readout_training import Pairs, fit_axis, fit_calibrated, pair_figures

F = 8
DIRECTION = np.linspace(-1, 1, F)


def planted(count: int, *, noise: float = 0.0, seed: int = 0) -> Pairs:
    """Pairs in which the better answer lies further along `DIRECTION`, but for the noise."""
    source = np.random.default_rng(seed)
    features = source.normal(size=(count, 2, F)).astype(np.float32)
    gaps = (features[:, 0] - features[:, 1]) @ DIRECTION + noise * source.normal(size=count)
    features[gaps < 0] = features[gaps < 0][:, ::-1]
    prompts = [f"prompt {i}" for i in range(count)]
    return Pairs(features, [("same words", "same words")] * count, prompts)


def test_a_planted_direction_is_found_on_prompts_not_trained_on() -> None:
    axis, figures = fit_calibrated(planted(600), "planted", strength=1.0)
    cosine = axis @ DIRECTION / np.linalg.norm(axis) / np.linalg.norm(DIRECTION)
    assert cosine > 0.97
    assert figures["agreement"]["value"] > 0.95
    assert figures["agreement"]["n"] + figures["train_pairs"] == 600
    # The texts say nothing, so a bag of words must not either.
    assert figures["agreement_bag_of_words"] == 0.0 and figures["longer_wins"] == 0.0


def test_noise_alone_gives_chance() -> None:
    _, figures = fit_calibrated(planted(2000, noise=1e4), "noise", strength=1.0)
    assert figures["agreement"]["low"] < 0.5 < figures["agreement"]["high"]


def test_the_temperature_makes_an_overconfident_fit_honest() -> None:
    """Many features, few pairs, hardly any penalty: the raw fit is far too sure of itself."""
    source = np.random.default_rng(2)
    pairs = planted(300, noise=2.0)
    wide = np.concatenate([pairs.features, source.normal(size=(300, 2, 200))], axis=2)
    sure = Pairs(wide.astype(np.float32), pairs.texts, pairs.prompts)
    _, figures = fit_calibrated(sure, "sure", strength=10.0)
    assert figures["temperature"] > 2
    assert figures["nll"] < figures["uncalibrated"]["nll"] - 0.1
    assert figures["ece"] < figures["uncalibrated"]["ece"]


def test_a_soft_label_pulls_less() -> None:
    hard = planted(200)
    soft = Pairs(hard.features, hard.texts, hard.prompts, np.full(200, 0.6))
    assert np.linalg.norm(fit_axis(soft, strength=1.0)) < 0.5 * np.linalg.norm(
        fit_axis(hard, strength=1.0)
    )


def test_parts_and_sums_keep_everything_together() -> None:
    pairs = planted(10)
    first = np.arange(10) < 4
    whole = pairs.part(first) + pairs.part(~first)
    assert np.array_equal(whole.features, pairs.features)
    assert (whole.texts, whole.prompts) == (pairs.texts, pairs.prompts)
    assert whole.shares().tolist() == [1.0] * 10


def test_figures_are_of_the_test_pairs() -> None:
    train, test = planted(300), planted(100, seed=5)
    figures = pair_figures(train, test)
    assert figures["agreement"]["n"] == 100 and figures["train_pairs"] == 300
    reversed_test = Pairs(test.features[:, ::-1], test.texts, test.prompts)
    assert pair_figures(train, reversed_test)["agreement"]["value"] == pytest.approx(
        1 - figures["agreement"]["value"]
    )


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(TrainingError, match="axis 'small' has"):
        fit_calibrated(planted(20), "small")
    one_prompt = planted(100)
    same = Pairs(one_prompt.features, one_prompt.texts, ["one"] * 100)
    with pytest.raises(TrainingError):
        fit_calibrated(same, "same")
