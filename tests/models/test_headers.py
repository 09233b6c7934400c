"""When a server wants us back, in every spelling."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from charter.models.headers import pause, retry_after

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0.0),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": formatdate(NOW + 30, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(NOW - 30, usegmt=True)}, 0.0),
        ({"retry-after": "soon"}, 0.0),
        ({"retry-after": "-3"}, 0.0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(headers, now=lambda: NOW) == seconds


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [("6m0s", 360.0), ("1s", 1.0), ("120ms", 0.12), ("1h2m3.5s", 3723.5), ("45", 45.0), ("?", 0.0)],
)
def test_an_openai_allowance(reset: str, seconds: float) -> None:
    headers = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": reset}
    assert pause(headers, now=lambda: NOW) == pytest.approx(seconds)
    assert pause({**headers, "x-ratelimit-remaining-tokens": "3"}, now=lambda: NOW) == 0.0


def test_an_anthropic_allowance() -> None:
    headers = {
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2023-11-14T22:13:50Z",
    }
    assert pause(headers, now=lambda: NOW) == 30.0


def test_the_longest_of_several_counts() -> None:
    headers = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "2s",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "5s",
    }
    assert pause(headers, now=lambda: NOW) == 5.0
