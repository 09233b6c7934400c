"""The adapters that ship with the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

CRITIC = "embedded-critic"
"""LoRA adapter that makes the embedded model a critic of its own answers; never the policy."""


def folder_of(name: str) -> Path:
    """Folder of a shipped adapter."""
    return Path(str(resources.files("charter.models") / "library" / name))
