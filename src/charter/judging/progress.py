"""Telling how far a piece of work is. The engine's `Progress` fits; judging knows no engine."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int | None], None]
"""Told the work's name, how much is done, and of how much (None if unknown)."""


def silent(work: str, done: int, total: int | None) -> None:
    """A `Progress` that says nothing."""
