from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from charter.errors import ModelError
from charter.readout.features import FeatureSettings
from charter.readout.linear import Card, LinearReadout, load
from charter.readout.words import (
    VOCABULARY,
    WEIGHTS,
    WordsSettings,
    fit_words,
    has_words,
    load_words,
)

TEXTS = [f"{'I will not help' if i % 2 else 'Sure, take'} the {i % 5} stones" for i in range(40)]
LABELS = np.array([1 - i % 2 for i in range(40)])
HEAD = fit_words(TEXTS, LABELS)


def test_it_tells_answers_apart_by_their_words() -> None:
    found = HEAD.apply(["Sure, take it.", "I will not do this.", ""])
    assert found[0] > 0.5 and found[1] < -0.5
    assert found[2] == pytest.approx(HEAD.bias) and found[1] < found[2] < found[0]


def test_it_is_scikit_learns_own_model() -> None:
    words = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, min_df=3, token_pattern=r"\w+|[^\w\s]|\n"
    )
    rows = words.fit_transform(TEXTS)
    model = LogisticRegression(C=10, solver="liblinear", class_weight="balanced").fit(rows, LABELS)
    seen = ["Sure, I will not take the stones stones", "unknown"]
    expected = model.decision_function(words.transform(seen))
    assert HEAD.apply(seen) == pytest.approx(expected, abs=1e-4)


def test_a_saved_head_reads_the_same(tmp_path: Path) -> None:
    HEAD.save(tmp_path)
    again = load_words(tmp_path)
    assert again.identity == HEAD.identity
    assert again.apply(TEXTS) == pytest.approx(HEAD.apply(TEXTS))


def test_the_text_beyond_what_is_read_changes_nothing() -> None:
    head = fit_words(TEXTS, LABELS, settings=WordsSettings(first=20))
    seen = "Sure, take the stone"
    assert head.apply([f"{seen} I will not"]) == head.apply([seen])


def test_a_factor_multiplies_logits() -> None:
    assert HEAD.scaled(0.5).apply(TEXTS) == pytest.approx(HEAD.apply(TEXTS) / 2)
    assert HEAD.scaled(0.5).identity != HEAD.identity


def test_damage_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no head over words"):
        load_words(tmp_path)
    HEAD.save(tmp_path)
    (tmp_path / VOCABULARY).write_text('{"entries":["sure"],"first":600}')
    with pytest.raises(ModelError, match="does not fit"):
        load_words(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"xx")
    with pytest.raises(ModelError, match="no head over words"):
        load_words(tmp_path)


def readout() -> LinearReadout:
    card = Card("tiny@0", FeatureSettings(), ("compliance",))
    return LinearReadout(np.array([[2.0, 0.0]]), np.array([-1.0]), card)


def test_a_readout_adds_the_logits_of_its_words(tmp_path: Path) -> None:
    plain, both = readout(), replace(readout(), words=HEAD)
    features = np.array([[1.0, 5.0], [0.0, 1.0]])
    texts = ["Sure, take it.", "I will not."]
    assert plain.read(features, texts) == pytest.approx(plain.apply(features))
    expected = plain.apply(features)[:, 0] + HEAD.apply(texts)
    assert both.read(features, texts)[:, 0] == pytest.approx(expected)
    assert both.identity != plain.identity
    both.save(tmp_path)
    assert load(tmp_path).read(features, texts)[:, 0] == pytest.approx(expected, abs=1e-5)
    assert load(tmp_path).identity == both.identity


def test_a_readout_without_words_leaves_none_behind(tmp_path: Path) -> None:
    replace(readout(), words=HEAD).save(tmp_path)
    readout().save(tmp_path)
    assert not has_words(tmp_path) and load(tmp_path).words is None
