"""Hiding words: code words with a key, and a request cut into variables."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Mapping
from random import Random

from charter.guard.frames import PAYLOAD, texts

_WORD = re.compile(r"[^\W\d_]+")
_KEY = re.compile(r'"([^"]+)" means "([^"]+)"')
_PIECE = re.compile(r'^\w+ = (".*")$', re.MULTILINE)
_MOST, _SHORTEST = 3, 5


def code_words(text: str, source: Random) -> dict[str, str]:
    """The longest words replaced by code words, with the glossary beside them."""
    words = sorted(set(_WORD.findall(text)), key=lambda word: (-len(word), word))
    hidden = [word for word in words if len(word) >= _SHORTEST][:_MOST] or words[:1]
    present = {word.casefold() for word in words}
    free = [code for code in texts("code_words") if code not in present]
    key = dict(zip(hidden, source.sample(free, len(hidden)), strict=True))
    glossary = ", ".join(f'"{code}" means "{word}"' for word, code in key.items())
    return {PAYLOAD: _replaced(text, key), "glossary": f"{glossary}." if glossary else ""}


def real_words(found: Mapping[str, str]) -> str:
    """The way back, by the glossary."""
    return _replaced(found[PAYLOAD], dict(_KEY.findall(found["glossary"])))


def _replaced(text: str, key: Mapping[str, str]) -> str:
    return _WORD.sub(lambda match: key.get(match.group(), match.group()), text)


def pieces(text: str, source: Random) -> dict[str, str]:
    """The request cut anywhere into two to six string variables, one a line."""
    count = min(source.randint(2, 6), max(1, len(text)))
    cuts = sorted(source.sample(range(1, len(text)), count - 1)) if count > 1 else []
    parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    lines = (
        f"{name} = {json.dumps(part, ensure_ascii=False)}"
        for name, part in zip(string.ascii_lowercase, parts, strict=False)
    )
    return {"pieces": "\n".join(lines)}


def joined(found: Mapping[str, str]) -> str:
    """The way back."""
    return "".join(json.loads(quoted) for quoted in _PIECE.findall(found["pieces"]))
