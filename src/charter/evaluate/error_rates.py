"""Where a scorer's measured error rates stand, and how they reach the figures they correct.

A readout's card carries them, under `about.error_rates`, by the metric that they were measured for:

    "error_rates": {"harmful_compliance": {
        "threshold": 0.5,
        "sensitivity": {"value": 0.9, "low": 0.86, "high": 0.93, "n": 250},
        "specificity": {"value": 0.95, "low": 0.92, "high": 0.97, "n": 300},
        "data": "people's labels of ..."}}

The stage copies them into its notes, so that a run keeps those of the scorer that read its answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import msgspec

from charter.errors import StoreError, boundary
from charter.records import Scorer
from charter.statistics.correction import ErrorRates

NOTE = "error_rates"
"""Key in a card's `about`, and in the notes of the stage."""


@runtime_checkable
class Measured(Protocol):
    """A scorer whose card says how often it is wrong."""

    @property
    def error_rates(self) -> Mapping[str, Any]:
        """By metric; see the module."""


def of_scorers(scorers: Iterable[Scorer]) -> dict[str, Any]:
    """Error rates of the scorers that have been measured, JSON-ready, by metric."""
    found: dict[str, Any] = {}
    for scorer in scorers:
        if isinstance(scorer, Measured):
            found.update(scorer.error_rates)
    return found


def of_notes(notes: Mapping[str, Any]) -> dict[str, ErrorRates]:
    """Error rates by metric, as the stage noted them; none in notes of older runs.

    Raises:
        StoreError: what stands there are no error rates.
    """
    with boundary(StoreError, "reading a scorer's error rates", catch=(msgspec.ValidationError,)):
        return msgspec.convert(notes.get(NOTE, {}), dict[str, ErrorRates])
