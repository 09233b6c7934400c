from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from charter.errors import StoreError
from charter.evaluate.error_rates import NOTE, of_notes, of_scorers
from charter.records import Prompt, Scored
from charter.statistics import wilson
from charter.statistics.correction import ErrorRates

from .conftest import PlantedScorer

RATES = ErrorRates(wilson(90, 100), wilson(190, 200), 0.5, "planted")


class MeasuredScorer:
    """A scorer with a card."""

    identity = "measured@1"

    def __init__(self, rates: Mapping[str, Any]) -> None:
        self.error_rates = rates

    def score(self, exchanges: Sequence[tuple[Prompt, str]]) -> list[Scored]:
        return [Scored(0.0) for _ in exchanges]


def test_rates_go_from_the_card_through_the_notes_to_the_figures() -> None:
    card = {"harmful_compliance": msgspec.to_builtins(RATES)}
    unmeasured = PlantedScorer("lexical@1", lambda text: 0.0)
    noted = {NOTE: of_scorers([unmeasured, MeasuredScorer(card)])}
    on_disk = msgspec.json.decode(msgspec.json.encode(noted))
    assert of_notes(on_disk) == {"harmful_compliance": RATES}


def test_runs_and_scorers_without_rates_have_none() -> None:
    assert of_notes({"scorers": {}}) == {}
    assert of_scorers([PlantedScorer("lexical@1", lambda text: 0.0)]) == {}


def test_damaged_rates_are_named() -> None:
    with pytest.raises(StoreError, match="error rates"):
        of_notes({NOTE: {"harmful_compliance": {"sensitivity": 0.9}}})
