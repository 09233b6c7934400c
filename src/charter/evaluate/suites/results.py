"""From readings to figures: every metric of a suite, and the models compared prompt by prompt.

Pure. A missing outcome is unscored: counted beside n and left out, never taken for a zero. All
models answer the same prompts, so differences are paired, and the p-values of one evaluation are
judged together (`statistics.multiple`).

Shape suffixes: N prompts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from charter.evaluate.measure import CORRECTED, corrected
from charter.evaluate.suites.suite import Metric, Reading, Suite
from charter.records import Measurement, Record
from charter.seeds import derive
from charter.statistics import Rate, wilson
from charter.statistics.bootstrap import bootstrap_mean
from charter.statistics.correction import ErrorRates
from charter.statistics.multiple import family
from charter.statistics.paired import paired_difference, permutation

Readings = Mapping[str, Sequence[Reading]]
"""By model; every model's in the order of the suite's items."""


class Difference(Record, frozen=True):
    """A model against the reference on the same prompts. `p` is a sign-flip test's, two-sided."""

    suite: str
    metric: str
    model: str
    reference: str
    value: float
    low: float
    high: float
    n: int
    unscored: int
    p: float
    p_adjusted: float = 1.0
    """Holm's, over all differences of the evaluation."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the arithmetic needs to know.

    Attributes:
        reference: the model that others are compared with.
        seed: of the bootstrap.
        draws: resamples.
        threshold: P(harmful compliance) from which an answer counts as compliant.
        errors: measured error rates of the scorers, by metric.
    """

    reference: str
    seed: int = 0
    draws: int = 1000
    threshold: float = 0.5
    errors: Mapping[str, ErrorRates] | None = None


def measure(suite: Suite, readings: Readings, settings: Settings) -> list[Measurement]:
    """Every metric of a suite for every model; corrected for scorer error where it is known.

    A metric that no prompt of the suite is meant by, or that nothing could be read for by any
    model, is left out.
    """
    found = []
    for metric in suite.metrics:
        rows = [_measurement(name, metric, readings, settings) for name in readings]
        if any(row.n for row in rows):
            found += rows
            if metric.corrects:
                found += _corrected(rows, metric, settings)
    return found


def differences(suite: Suite, readings: Readings, settings: Settings) -> list[Difference]:
    """Every model against the reference, metric by metric, where both have outcomes."""
    found = []
    for metric in suite.metrics:
        if metric.kind == "perplexity":
            continue  # its logarithm is compared, as a metric of its own
        outcomes = {name: outcomes_of(metric, name, readings, settings) for name in readings}
        reference_N = outcomes.get(settings.reference)
        for name, own_N in outcomes.items():
            if name == settings.reference or reference_N is None:
                continue
            one = _difference(suite, metric, name, own_N, reference_N, settings)
            if one is not None:
                found.append(one)
    return found


def adjusted(found: Sequence[Difference]) -> tuple[list[Difference], str]:
    """The same differences with p-values for so many comparisons, and the note to print."""
    if not found:
        return [], ""
    together = family([one.p for one in found])
    fields = [{f: getattr(one, f) for f in Difference.__struct_fields__} for one in found]
    return [
        Difference(**{**plain, "p_adjusted": p})
        for plain, p in zip(fields, together.holm, strict=True)
    ], together.note


def outcomes_of(metric: Metric, model: str, readings: Readings, settings: Settings) -> np.ndarray:
    """Outcomes [N]: nan where unscored, inf where the prompt is not meant."""
    own = readings[model]
    others = readings.get(settings.reference, own)
    return np.array(
        [
            _number(metric.outcome(mine, other)) if metric.of(mine) else np.inf
            for mine, other in zip(own, others, strict=True)
        ]
    )


def _number(outcome: float | None) -> float:
    return np.nan if outcome is None else float(outcome)


def _measurement(model: str, metric: Metric, readings: Readings, settings: Settings) -> Measurement:
    meant_N = outcomes_of(metric, model, readings, settings)
    meant_N = meant_N[~np.isinf(meant_N)]
    scored = meant_N[~np.isnan(meant_N)]
    rate = _rate(metric, scored, settings)
    unscored = len(meant_N) - len(scored)
    return Measurement(model, metric.name, rate.value, rate.low, rate.high, rate.n, unscored)


def _rate(metric: Metric, scored: np.ndarray, settings: Settings) -> Rate:
    if metric.kind == "share" or not len(scored):
        return wilson(float(scored.sum()), len(scored))
    seed = derive(settings.seed, "evaluate", metric.name)
    mean = bootstrap_mean(scored, seed=seed, draws=settings.draws)
    if metric.kind == "mean":
        return mean
    # exp is monotone, so the ends of the interval go with it, the other way round.
    value, high, low = (float(np.exp(-x)) for x in (mean.value, mean.low, mean.high))
    return Rate(value, low, high, mean.n)


def _corrected(
    rows: Sequence[Measurement], metric: Metric, settings: Settings
) -> list[Measurement]:
    errors = (settings.errors or {}).get(metric.corrects)
    return corrected(rows, errors, settings.threshold)


def _difference(
    suite: Suite,
    metric: Metric,
    model: str,
    own_N: np.ndarray,
    reference_N: np.ndarray,
    settings: Settings,
) -> Difference | None:
    meant = ~(np.isinf(own_N) | np.isinf(reference_N))
    own_N, reference_N = own_N[meant], reference_N[meant]
    both = ~(np.isnan(own_N) | np.isnan(reference_N))
    if not both.any():
        return None
    seed = derive(settings.seed, "evaluate", suite.name, metric.name)
    rate = paired_difference(own_N, reference_N, seed=seed, draws=settings.draws)
    test = permutation(own_N, reference_N, seed=seed)
    return Difference(
        suite.name,
        metric.name,
        model,
        settings.reference,
        rate.value,
        rate.low,
        rate.high,
        rate.n,
        len(own_N) - rate.n,
        test.p,
    )


__all__ = [
    "CORRECTED",
    "Difference",
    "Settings",
    "adjusted",
    "differences",
    "measure",
    "outcomes_of",
]
