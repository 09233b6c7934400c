from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from charter.guard import swim
from charter.guard.smoothing import Smoothing


def one(values: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor([values]), torch.tensor([len(values)])


def test_a_short_text_is_one_averaged_prediction() -> None:
    logits, length = one([1.0, 2.0, 6.0])
    loss = swim.swim_loss(logits, length, torch.tensor([1.0]))
    assert float(loss) == pytest.approx(math.log1p(math.exp(-3.0)))


def test_windows_weigh_by_the_softmax_of_their_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swim, "WINDOW", 2)
    logits, length = one([0.0, 2.0, 4.0])
    means = torch.tensor([1.0, 3.0])
    expected = (means.softmax(0) * softplus(means)).sum()  # label 0
    found = swim.swim_loss(logits, length, torch.tensor([0.0]))
    assert float(found) == pytest.approx(float(expected))


def test_padding_changes_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swim, "WINDOW", 2)
    values = [0.5, -1.0, 2.0, 0.3]
    padded = torch.tensor([[*values, 9.0, 9.0], [9.0] * 6])
    lengths, labels = torch.tensor([4, 6]), torch.tensor([1.0, 0.0])
    for loss in (swim.swim_loss, swim.cumulative_max_loss):
        alone = loss(torch.tensor([values]), torch.tensor([4]), labels[:1], 0.5)
        assert float(loss(padded, lengths, labels, 0.5)[0]) == pytest.approx(float(alone[0]))


def test_the_cumulative_maximum_is_annealed() -> None:
    logits, length = one([2.0, -2.0])
    label = torch.tensor([0.0])
    tokens = binary_cross_entropy_with_logits(logits[0], torch.zeros(2))
    assert float(swim.cumulative_max_loss(logits, length, label, 0.0)) == pytest.approx(
        float(tokens)
    )
    highest = math.log1p(math.exp(2.0))
    assert float(swim.cumulative_max_loss(logits, length, label, 1.0)) == pytest.approx(highest)


@pytest.mark.parametrize("loss", ["swim", "cumulative-max"])
def test_a_short_planted_burst_in_a_long_text_is_found(loss: swim.Loss) -> None:
    source = np.random.default_rng(0)

    def text(label: int) -> np.ndarray:
        tokens = source.normal(size=(int(source.integers(40, 60)), 6))
        if label:
            start = int(source.integers(0, 20))
            tokens[start : start + 16, 0] += 2.5
        return tokens

    labels = np.array([0, 1] * 60)
    texts = [text(label) for label in labels]
    fit = swim.fit(texts[:80], labels[:80], loss, steps=150)
    smooth = Smoothing("ema", 16)
    peaks = np.array([smooth.peak(t @ fit.weights_F + fit.bias) for t in texts[80:]])
    means = np.array([(t @ fit.weights_F).mean() for t in texts[80:]])
    held = labels[80:]
    won = (peaks[held == 1][:, None] > peaks[held == 0]).mean()
    # The cumulative maximum learns from one token a text; SWiM learns from all of them.
    assert won > (0.97 if loss == "swim" else 0.75)
    assert np.argmax(np.abs(fit.weights_F)) == 0
    if loss == "swim":
        assert won >= (means[held == 1][:, None] > means[held == 0]).mean()
