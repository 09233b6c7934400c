from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from charter.readout.blend import MoreTexts, Rows, discriminant, fit_blend, left_out
from charter.readout.features import FeatureSettings
from charter.readout.linear import Card, load

SIGNAL = np.array([1.0, -1.0, 0.5, 0.0, 0.0, 0.0])


def rows(n: int = 240, *, seed: int = 0, strength: float = 1.0) -> Rows:
    """Activations and words that each tell something of the label, over 40 groups and 2 sources."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    features = rng.normal(size=(n, 6)) + strength * np.outer(2 * labels - 1, SIGNAL)
    honest = rng.random(n) < 0.8
    words = [
        "sure take" if said == right else "never ask"
        for said, right in zip(labels, honest, strict=True)
    ]
    texts = [f"{word} number {i % 7}" for i, word in enumerate(words)]
    return Rows(features, texts, labels, [f"g{i % 40}" for i in range(n)], ["a", "b"] * (n // 2))


def test_the_discriminant_is_fishers() -> None:
    data = rows()
    weights, bias = discriminant(data.features_NF, data.labels_N, ridge=1e-9)
    model = LinearDiscriminantAnalysis(solver="lsqr", priors=[0.5, 0.5])
    model.fit(data.features_NF, data.labels_N)
    cosine = weights @ model.coef_[0] / np.linalg.norm(weights) / np.linalg.norm(model.coef_[0])
    assert cosine == pytest.approx(1.0, abs=1e-4)
    # Both put the border half way between the means.
    own, theirs = data.features_NF @ weights + bias, model.decision_function(data.features_NF)
    assert ((own > 0) == (theirs > 0)).mean() > 0.99


def test_with_more_features_than_rows_the_ridge_solves_the_same_system() -> None:
    rng = np.random.default_rng(1)
    x, labels, ridge = rng.normal(size=(20, 50)), np.arange(20) % 2, 0.01
    weights, _ = discriminant(x, labels, ridge=ridge)
    scale = x.std(0) + 1e-6
    z = (x - x.mean(0)) / scale
    gap = z[labels == 1].mean(0) - z[labels == 0].mean(0)
    r = z - np.where((labels == 1)[:, None], z[labels == 1].mean(0), z[labels == 0].mean(0))
    within = r.T @ r / 20
    expected = np.linalg.solve(within + ridge * np.trace(within) * np.eye(50), gap) / scale
    assert weights == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_both_heads_together_beat_each_alone() -> None:
    train, test = rows(600, seed=1, strength=0.5), rows(600, seed=2, strength=0.5)
    blend = fit_blend(train)
    both = roc_auc_score(test.labels_N, blend.logits(test.features_NF, test.texts))
    activations = roc_auc_score(test.labels_N, test.features_NF @ blend.weights_F)
    words = roc_auc_score(test.labels_N, blend.words.apply(test.texts))
    assert both > max(activations, words) + 0.02


def test_the_logits_are_log_odds() -> None:
    blend, test = fit_blend(rows(1200, seed=3, strength=0.4)), rows(1200, seed=4, strength=0.4)
    p = 1 / (1 + np.exp(-blend.logits(test.features_NF, test.texts)))
    for low, high in ((0.0, 0.25), (0.25, 0.75), (0.75, 1.0)):
        inside = (p >= low) & (p < high)
        assert p[inside].mean() == pytest.approx(test.labels_N[inside].mean(), abs=0.07)


def test_a_group_is_never_on_both_sides() -> None:
    """Labels that only the group tells are not to be learned across groups."""
    rng = np.random.default_rng(5)
    groups = [f"g{i % 30}" for i in range(300)]
    labels = np.array([int(group[1:]) % 2 for group in groups])
    texts = [f"topic {group} {i % 3}" for i, group in enumerate(groups)]
    data = Rows(rng.normal(size=(300, 5)), texts, labels, groups, ["a"] * 300)
    assert roc_auc_score(labels, fit_blend(data).crossed_N) < 0.8


def test_a_source_that_is_left_out_teaches_nothing() -> None:
    """Source b turns every label round: its own rows would have to be seen to know."""
    data = rows()
    turned = np.array(data.sources) == "b"
    contrary = replace(data, labels_N=np.where(turned, 1 - data.labels_N, data.labels_N))
    found = left_out(contrary)
    for inside in (turned, ~turned):
        assert roc_auc_score(contrary.labels_N[inside], found[inside]) < 0.2


def test_further_texts_teach_the_words_alone() -> None:
    more = MoreTexts(["I leave that be"] * 30 + ["Here you go"] * 30, [0] * 30 + [1] * 30)
    blend, plain = fit_blend(rows(), more), fit_blend(rows())
    left, gone = blend.words.apply(["I leave that be", "Here you go"])
    assert left < -0.5 < 0.5 < gone
    cosine = blend.weights_F @ plain.weights_F
    cosine /= np.linalg.norm(blend.weights_F) * np.linalg.norm(plain.weights_F)
    assert cosine == pytest.approx(1.0)


def test_the_readout_reads_what_the_blend_reads(tmp_path: Path) -> None:
    data = rows()
    blend = fit_blend(data)
    blend.readout(Card("tiny@0", FeatureSettings(), ("compliance",))).save(tmp_path)
    found = load(tmp_path).read(data.features_NF, data.texts)[:, 0]
    assert found == pytest.approx(blend.logits(data.features_NF, data.texts), abs=1e-3)


def test_the_same_rows_give_the_same_readout() -> None:
    card = Card("tiny@0", FeatureSettings(), ("compliance",))
    assert fit_blend(rows()).readout(card).identity == fit_blend(rows()).readout(card).identity
