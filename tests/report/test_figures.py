from __future__ import annotations

import pytest

from charter.report.figures import count, duration, one, plain, rate_in, shown_rate, span
from charter.statistics import Rate, wilson

T, M = "\u202f", "\u2212"


@pytest.mark.parametrize(
    ("value", "scale", "n", "text"),
    [
        (0.5, "share", 10, f"50{T}%"),
        (0.1234, "share", 5000, f"12.3{T}%"),
        (-12.4, "elo", 9, f"{M}12"),
        (-0.2, "elo", 9, "0"),
        (141, "elo", 9, "+141"),
        (33.4, "number", 9, "33.4"),
        (None, "share", 9, "–"),
        (float("nan"), "elo", 9, "–"),
    ],
)
def test_one_number(value: float | None, scale, n: int, text: str) -> None:
    assert one(value, scale, n) == text


def test_a_rate_without_trials_is_not_a_number() -> None:
    assert shown_rate(wilson(0, 0)).value == "–"
    assert shown_rate(None).value == "–"
    assert shown_rate(wilson(5, 10)).interval == f"24 to 76{T}%"


def test_spans() -> None:
    assert span(-5, 30, "elo") == f"{M}5 to +30"
    assert span(None, 1, "share") == ""


def test_counts_and_plain_numbers() -> None:
    assert count(1_234_567) == f"1{T}234{T}567"
    assert count(9999) == "9999"
    assert plain(3.0) == "3"
    assert plain(0.012345) == "0.0123"
    assert plain(float("inf")) == "–"


def test_durations() -> None:
    assert [duration(s) for s in (0.04, 59.4, 61, 3725)] == [
        f"0.0{T}s",
        f"59{T}s",
        f"1{T}min 1{T}s",
        f"1{T}h 2{T}min",
    ]


def test_a_rate_is_found_where_it_is_written() -> None:
    rate = {"value": 0.5, "low": 0.2, "high": 0.8, "n": 10}
    assert rate_in(rate) == Rate(0.5, 0.2, 0.8, 10)
    assert rate_in({"share": rate, "what": "text"}) == Rate(0.5, 0.2, 0.8, 10)
    assert rate_in({"value": "high"}) is None
    assert rate_in([0.5]) is None
