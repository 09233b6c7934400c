"""Keys of remote models: read from the environment when a model connects, and shown nowhere."""

from __future__ import annotations

import os

from charter.errors import InputError
from charter.models.endpoint import Address

VARIABLES = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
_NO_KEY = "none"
"""A server of one's own often takes no key, but the SDKs insist on one."""
_LONGEST = 300
"""Characters of a server's words that are kept."""


def key_for(address: Address) -> str:
    """The key of a model's provider.

    Raises:
        InputError: the provider's own endpoint is meant, and there is no key.
    """
    variable = VARIABLES[address.provider]
    key = os.environ.get(variable, "").strip()
    if not key and not address.urls:
        name = f"{address.provider}:{address.model}"
        raise InputError(f"no key for {name!r}", expected=f"{variable} in the environment")
    return key or _NO_KEY


def presentable(text: str) -> str:
    """A server's words as one short line, without a key that it may have sent back."""
    for variable in VARIABLES.values():
        key = os.environ.get(variable, "").strip()
        if key:
            text = text.replace(key, "***")
    return " ".join(text.split())[:_LONGEST]
