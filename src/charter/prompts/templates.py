"""Prompt texts, kept in files and filled in a single pass.

Owns: finding a template, filling it, and its digest. Substitution looks at the template once and
never at what it puts in, so text from a model or a user cannot smuggle in a placeholder.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib import resources

_PLACEHOLDER = re.compile(r"\{\{([a-z_]+)\}\}")


@cache
def template(name: str) -> str:
    """Text of the template `name` (without `.txt`), trailing newline removed."""
    file = resources.files("charter.prompts") / "templates" / f"{name}.txt"
    return file.read_text(encoding="utf-8").rstrip("\n")


def render(name: str, **values: str) -> str:
    """Fill template `name`.

    Raises:
        KeyError: a placeholder has no value. Values must match the placeholders exactly.
    """
    text = template(name)
    wanted = set(_PLACEHOLDER.findall(text))
    if wanted != set(values):
        raise KeyError(f"template {name!r} takes {sorted(wanted)}, was given {sorted(values)}")
    return _PLACEHOLDER.sub(lambda match: values[match.group(1)], text)


def templates_digest(*names: str) -> str:
    """Digest of the named templates, for `Origin.template`."""
    state = hashlib.sha256()
    for name in names:
        state.update(f"{name}\0{template(name)}\0".encode())
    return state.hexdigest()[:16]
