"""The loss curve of a training stage on disk: one JSON object a logged step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from charter.store import write_atomic

CURVE = "curve.jsonl"


def write_curve(folder: Path, curve: Iterable[Mapping[str, float]]) -> None:
    """Write `curve.jsonl` into a stage folder, whole or not at all."""
    lines = [msgspec.json.encode(dict(row)) + b"\n" for row in curve]
    write_atomic(folder / CURVE, b"".join(lines))
