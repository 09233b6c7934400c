"""Codes: the request is all there, in another alphabet. Every function has its way back."""

from __future__ import annotations

import base64
import codecs
import re
from random import Random

_LEET = {"a": "4@", "e": "3", "i": "1", "o": "0", "s": "5$", "t": "7"}
_UNLEET = {sign: letter for letter, signs in _LEET.items() for sign in signs}
_HIDDEN = "\u200b\u200c\u200d\u2060\ufeff"
_LOOKALIKES = {
    **dict(zip("aceopxyijs", "асеорхуіјѕ", strict=True)),
    **dict(zip("ABCEHKMOPTX", "АВСЕНКМОРТХ", strict=True)),
}
_ORIGINALS = {ord(other): letter for letter, other in _LOOKALIKES.items()}
_SEPARATORS = " -._*"
_GAP = "   "
_WORD = re.compile(r"\S+")


def to_base64(text: str, source: Random) -> str:
    """Standard Base64 of the UTF-8 bytes."""
    return base64.b64encode(text.encode()).decode()


def from_base64(text: str) -> str:
    """Raises ValueError if it is not Base64 of UTF-8."""
    return base64.b64decode(text.encode(), validate=True).decode()


def to_hex(text: str, source: Random) -> str:
    """Hexadecimal UTF-8 bytes, with or without spaces between them."""
    return text.encode().hex(" ") if source.random() < 0.5 else text.encode().hex()


def from_hex(text: str) -> str:
    """Raises ValueError if it is not hexadecimal."""
    return bytes.fromhex(text).decode()


def to_rot13(text: str, source: Random) -> str:
    """Latin letters turned by thirteen places."""
    return codecs.encode(text, "rot13")


def from_rot13(text: str) -> str:
    """The same again."""
    return codecs.decode(text, "rot13")


def to_reverse(text: str, source: Random) -> str:
    """Characters from last to first."""
    return text[::-1]


def from_reverse(text: str) -> str:
    """The same again."""
    return text[::-1]


def to_leetspeak(text: str, source: Random) -> str:
    """Some letters as digits or signs. Words that hold such signs already are left alone."""
    letters = [letter for letter in _LEET if source.random() < 0.8] or ["e", "o"]
    table = {ord(letter): source.choice(_LEET[letter]) for letter in letters}
    return _WORD.sub(lambda match: _leet(match.group(), table), text)


def _leet(word: str, table: dict[int, str]) -> str:
    changed = word.translate(table)
    # A word without a letter left could not be told from a number.
    if any(sign in word for sign in _UNLEET) or not _has_letters(changed):
        return word
    return changed


def from_leetspeak(text: str) -> str:
    """Exact unless the request had words of letters and digits, such as B12."""
    return _WORD.sub(lambda match: _unleet(match.group()), text)


def _unleet(word: str) -> str:
    if not _has_letters(word):
        return word
    return "".join(_UNLEET.get(c, c) for c in word)


def to_zero_width(text: str, source: Random) -> str:
    """Characters that show nothing, strewn between the letters."""
    sign, share = source.choice(_HIDDEN), source.choice([0.3, 0.6, 1.0])
    return "".join(c + sign if source.random() < share else c for c in text)


def from_zero_width(text: str) -> str:
    """Without them."""
    return text.translate(dict.fromkeys(map(ord, _HIDDEN)))


def to_homoglyphs(text: str, source: Random) -> str:
    """Latin letters as Cyrillic ones that look the same."""
    share = source.choice([0.4, 0.7, 1.0])
    return "".join(_LOOKALIKES.get(c, c) if source.random() < share else c for c in text)


def from_homoglyphs(text: str) -> str:
    """Latin letters again; exact unless the request had Cyrillic ones."""
    return text.translate(_ORIGINALS)


def to_spaced(text: str, source: Random) -> str:
    """The letters of each word, or of the longer words only, set apart by a sign."""
    sign, shortest = source.choice(_SEPARATORS), source.choice([2, 5])
    return _GAP.join(
        # Numbers stay whole: 35 set apart by points would read as 3.5.
        sign.join(word) if len(word) >= shortest and _has_letters(word) else word
        for word in text.split()
    )


def from_spaced(text: str) -> str:
    """Words again, with single spaces."""
    return " ".join(_joined(word) for word in text.split(_GAP))


def _joined(word: str) -> str:
    between = set(word[1::2])
    apart = len(word) % 2 == 1 and len(between) == 1 and between <= set(_SEPARATORS)
    return word[::2] if apart and _has_letters(word) else word


def _has_letters(word: str) -> bool:
    return any(c.isalpha() for c in word)
