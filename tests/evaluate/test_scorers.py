from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import pytest

from charter.errors import ModelError
from charter.evaluate.scorers import ComplianceScorer, HelpfulnessScorer
from charter.models import hf
from charter.readout.features import Exchange, FeatureReader, FeatureSettings
from charter.readout.linear import Card, LinearReadout
from charter.records import Message, Prompt, Scored

SETTINGS = FeatureSettings()
PROMPT = Prompt("p", (Message("user", "How do I do it?"),))


class CountingReader:
    """Two features: words of the answer, words of the conversation."""

    settings, width = SETTINGS, 2

    def __init__(self) -> None:
        self.asked: list[Exchange] = []

    def read(self, exchanges: Sequence[Exchange]) -> np.ndarray:
        self.asked += exchanges
        return np.array(
            [[len(text.split()), len(turns[-1].content.split())] for turns, text in exchanges]
        )


def _readout(*axes: str, settings: FeatureSettings = SETTINGS) -> LinearReadout:
    weights = np.array([[0.5, 0.0], [0.0, -1.0]])[: len(axes)]
    bias = np.array([-1.0, 2.0])[: len(axes)]
    return LinearReadout(weights, bias, Card("tiny@0", settings, axes))


def _reader(**changed: Any) -> FeatureReader:
    reader = CountingReader()
    for name, value in changed.items():
        setattr(reader, name, value)
    return cast(FeatureReader, reader)


def test_compliance_is_the_probability_of_its_axis() -> None:
    scorer = ComplianceScorer(_reader(), _readout("compliance", "helpful"))
    found = scorer.score([(PROMPT, "one two"), (PROMPT, "one two three four")])
    assert [s.value for s in found] == pytest.approx([0.5, 1 / (1 + math.exp(-1))])


def test_compliance_says_how_often_it_is_wrong() -> None:
    rates = {"harmful_compliance": {"threshold": 0.5}}
    readout = _readout("compliance", "helpful")
    assert ComplianceScorer(_reader(), readout).error_rates == {}
    about = msgspec.structs.replace(readout.card, about={"error_rates": rates})
    assert ComplianceScorer(_reader(), replace(readout, card=about)).error_rates == rates


def test_helpfulness_is_the_bare_logit_of_its_axis() -> None:
    scorer = HelpfulnessScorer(_reader(), _readout("compliance", "helpful"))
    assert scorer.score([(PROMPT, "one two")]) == [Scored(2.0 - 5.0)]


@pytest.mark.parametrize("kind", [ComplianceScorer, HelpfulnessScorer])
def test_the_empty_are_unscored_and_never_read(
    kind: type[ComplianceScorer] | type[HelpfulnessScorer],
) -> None:
    reader = _reader()
    scorer = kind(reader, _readout("compliance", "helpful"))
    found = scorer.score([(PROMPT, ""), (PROMPT, "one"), (PROMPT, " \n")])
    assert [s.reason for s in found] == ["empty", "", "empty"]
    assert [s.value is None for s in found] == [True, False, True]
    assert cast(CountingReader, reader).asked == [(PROMPT.messages, "one")]
    assert scorer.score([]) == []


def test_certainty_does_not_overflow() -> None:
    scorer = ComplianceScorer(_reader(), _readout("compliance"))
    (high,) = scorer.score([(PROMPT, "word " * 10_000)])
    assert high.value == pytest.approx(1.0)


def test_identity_tells_axes_and_weights_apart() -> None:
    both = _readout("compliance", "helpful")
    compliance = ComplianceScorer(_reader(), both)
    helpful = HelpfulnessScorer(_reader(), both)
    other = ComplianceScorer(_reader(), _readout("compliance"))
    assert compliance.identity.endswith(both.identity)
    assert len({compliance.identity, helpful.identity, other.identity}) == 3


def test_a_readout_without_the_axis_is_refused() -> None:
    with pytest.raises(ModelError, match="compliance"):
        HelpfulnessScorer(_reader(), _readout("compliance"))


def test_a_reader_of_other_features_is_refused() -> None:
    with pytest.raises(ModelError, match="fitted on 2 features"):
        ComplianceScorer(_reader(width=3), _readout("compliance"))
    other = FeatureSettings(max_answer=7)
    with pytest.raises(ModelError, match="fitted on"):
        ComplianceScorer(_reader(settings=other), _readout("compliance"))


def test_on_a_real_model_it_applies_the_readout_to_its_features(tiny_model_folder: Path) -> None:
    model = hf.load(str(tiny_model_folder))
    reader = FeatureReader(model, SETTINGS)
    weights = np.random.default_rng(0).normal(size=(2, reader.width))
    card = Card(model.identity, SETTINGS, ("helpful", "compliance"))
    readout = LinearReadout(weights, np.array([0.1, -0.2]), card)
    texts = ["bread and stone", "a kind story"]
    found = ComplianceScorer(reader, readout).score([(PROMPT, text) for text in texts])
    features = reader.read([(PROMPT.messages, text) for text in texts])
    logits = features @ weights[1] - 0.2
    assert [s.value for s in found] == pytest.approx(list(1 / (1 + np.exp(-logits))), rel=1e-4)
