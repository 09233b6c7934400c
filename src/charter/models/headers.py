"""What a server's headers say about when to come back.

Owns the spellings: `Retry-After` (seconds or a date, RFC 9110 §10.2.3), `retry-after-ms`, and the
rate-limit headers of OpenAI (`6m0s`, `120ms`) and Anthropic (an RFC 3339 time).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

Headers = Mapping[str, str]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LIMITS = (
    *(
        (f"x-ratelimit-remaining-{kind}", f"x-ratelimit-reset-{kind}")
        for kind in ("requests", "tokens")
    ),
    *(
        (f"anthropic-ratelimit-{kind}-remaining", f"anthropic-ratelimit-{kind}-reset")
        for kind in ("requests", "tokens", "input-tokens", "output-tokens")
    ),
)
"""Pairs of headers: what is left, and when it is filled up again."""


def retry_after(headers: Headers, *, now: Callable[[], float] = time.time) -> float:
    """Seconds that a refusal asks to wait; 0 if it does not say, or not in a way we can read."""
    millis = _number(headers.get("retry-after-ms", ""))
    if millis is not None:
        return millis / 1000
    text = headers.get("retry-after", "")
    seconds = _number(text)
    return seconds if seconds is not None else _until(text, now())


def pause(headers: Headers, *, now: Callable[[], float] = time.time) -> float:
    """Seconds until an allowance that this answer used up is filled again; 0 if none is."""
    waits = [
        _reset(headers.get(reset, ""), now())
        for left, reset in _LIMITS
        if headers.get(left, "").strip() == "0"
    ]
    return max(waits, default=0.0)


def _reset(text: str, now: float) -> float:
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)
    if parts and "".join(number + unit for number, unit in parts) == text.strip():
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    seconds = _number(text)
    return seconds if seconds is not None else _until(text, now)


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\s*\d+(\.\d+)?\s*", text) else None


def _until(text: str, now: float) -> float:
    """Seconds until a date, in either of the two spellings; 0 if it is none, or past."""
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            return max(0.0, parse(text).timestamp() - now)
        except (ValueError, TypeError):
            continue
    return 0.0
