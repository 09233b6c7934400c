"""Answered comparisons of our own writing: few-shot examples for judges that are asked in words."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Literal

import msgspec

from charter.records import Record


class JudgedShot(Record, frozen=True):
    """One example: which of two answers is better under a question, and why."""

    question: str
    request: str
    a: str
    b: str
    better: Literal["a", "b"]
    why: str


@cache
def judged_shots() -> tuple[JudgedShot, ...]:
    """Every example that ships with the package; the better answer is by turns the second one
    and the first one, and by turns the shorter one and the longer one."""
    file = resources.files("charter.prompts") / "library" / "judge_shots.jsonl"
    decoder = msgspec.json.Decoder(JudgedShot)
    return tuple(decoder.decode(line) for line in file.read_bytes().splitlines())
