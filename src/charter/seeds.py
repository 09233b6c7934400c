"""Seeds derived from names: every record has its own randomness, whatever is made beside it."""

from __future__ import annotations

import hashlib
import random


def derive(*parts: object) -> int:
    """A 63-bit seed from any printable parts, the same on every machine."""
    text = "\0".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def draws(*parts: object) -> random.Random:
    """A random source of its own for these parts."""
    return random.Random(derive(*parts))
