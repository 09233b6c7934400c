from __future__ import annotations

import math

import numpy as np
import pytest

from charter.evaluate.suites.asking import write
from charter.evaluate.suites.results import (
    Difference,
    Settings,
    adjusted,
    differences,
    measure,
)
from charter.evaluate.suites.suite import Item, Metric, Reading, Suite
from charter.records import Message, Prompt
from charter.statistics import wilson
from charter.statistics.correction import ErrorRates, correct

ITEMS = tuple(Item(Prompt(f"p{i}", (Message("user", "?"),))) for i in range(10))
SETTINGS = Settings("a", draws=200)


def readings(**values: list[float | None]) -> dict[str, list[Reading]]:
    return {
        model: [
            Reading(f"s/{model}/{i}", "s", model, item, scores={"x": value})
            for i, (item, value) in enumerate(zip(ITEMS, row, strict=False))
        ]
        for model, row in values.items()
    }


def suite(*metrics: Metric) -> Suite:
    return Suite("s", "about", "here", ITEMS, write, (), metrics)


def x(own: Reading, _: Reading) -> float | None:
    return own.score("x")


def test_shares_have_wilsons_interval_and_count_the_unscored() -> None:
    found = measure(suite(Metric("m", x)), readings(a=[1, 1, 0, None, 1]), SETTINGS)
    (m,) = found
    rate = wilson(3, 4)
    assert (m.value, m.low, m.high, m.n, m.unscored) == (*[rate.value, rate.low, rate.high], 4, 1)


def test_prompts_that_are_not_meant_are_no_part_of_n() -> None:
    odd = Metric("m", x, of=lambda r: int(r.item.prompt.id[1:]) % 2 == 1)
    (m,) = measure(suite(odd), readings(a=[1, 0, 1, None, 1]), SETTINGS)
    assert (m.value, m.n, m.unscored) == (0.0, 1, 1)


def test_a_metric_that_nothing_was_read_for_is_left_out() -> None:
    assert measure(suite(Metric("m", x)), readings(a=[None, None]), SETTINGS) == []


def test_perplexity_is_exp_of_minus_the_mean() -> None:
    values = [-1.0, -2.0, -3.0, -2.5]
    (m,) = measure(suite(Metric("p", x, kind="perplexity")), readings(a=[*values]), SETTINGS)
    assert m.value == pytest.approx(math.exp(-np.mean(values)))
    assert m.low < m.value < m.high


def test_known_errors_of_the_scorer_are_corrected_beside_the_raw_rate() -> None:
    errors = ErrorRates(wilson(180, 200), wilson(190, 200))
    settings = Settings("a", errors={"h": errors})
    values: list[float | None] = [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    raw, mended = measure(suite(Metric("h", x, corrects="h")), readings(a=values), settings)
    expected = correct(wilson(3, 10), errors).corrected
    assert expected is not None and mended.metric == "h_corrected"
    assert (raw.value, mended.value) == (0.3, pytest.approx(expected.value))
    other = Settings("a", threshold=0.7, errors={"h": errors})
    assert len(measure(suite(Metric("h", x, corrects="h")), readings(a=values), other)) == 1


def test_models_are_compared_on_the_prompts_that_both_answered() -> None:
    table = readings(a=[1, 1, 1, 1, None, 1], b=[0, 0, 0, 0, 0, None])
    (found,) = differences(suite(Metric("m", x)), table, SETTINGS)
    assert (found.model, found.reference, found.n, found.unscored) == ("b", "a", 4, 2)
    assert found.value == -1.0
    # Four prompts, all one way: two of the sixteen flips are as far from 0.
    assert found.p == pytest.approx(2 / 16)


def test_p_values_are_judged_together() -> None:
    ps = [0.01, 0.04, 0.5]
    found, note = adjusted(
        [Difference("s", f"m{i}", "b", "a", 0.1, 0.0, 0.2, 9, 0, p) for i, p in enumerate(ps)]
    )
    assert [d.p_adjusted for d in found] == pytest.approx([0.03, 0.08, 0.5])
    assert "3 comparisons" in note
    assert adjusted([]) == ([], "")


def test_the_reference_stands_beside_every_outcome() -> None:
    wins = Metric("w", lambda own, ref: float((own.score("x") or 0) > (ref.score("x") or 0)))
    table = readings(a=[1, 2, 3], b=[2, 3, 1])
    found = {m.model: m.value for m in measure(suite(wins), table, SETTINGS)}
    assert found == {"a": 0.0, "b": pytest.approx(2 / 3)}
