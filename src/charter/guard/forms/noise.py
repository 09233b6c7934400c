"""Noise: slips of the pen and odd capitals. The request can still be read, but not restored."""

from __future__ import annotations

import math
import re
from random import Random

_WORD = re.compile(r"[A-Za-z]{4,}")
_SHARE = 0.5
"""Of the words with four letters or more."""
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEIGHBOURS = {
    letter: row[max(0, place - 1) : place] + row[place + 1 : place + 2]
    for row in _ROWS
    for place, letter in enumerate(row)
}


def misspelt(text: str, source: Random) -> str:
    """Every second longer word, at least one, with a slip.

    Letters are swapped, doubled, left out, or the key beside them is hit.
    """
    found = list(_WORD.finditer(text))
    hit = set(source.sample(range(len(found)), math.ceil(_SHARE * len(found))))
    done, parts = 0, list[str]()
    for number, match in enumerate(found):
        word = match.group()
        parts += [text[done : match.start()], _slip(word, source) if number in hit else word]
        done = match.end()
    return "".join([*parts, text[done:]])


def _slip(word: str, source: Random) -> str:
    """First and last letter stay, by which people go when they read."""
    place = source.randrange(1, len(word) - 1)
    kind = source.choice(["swap", "double", "drop", "beside"])
    if kind == "swap":
        place = min(place, len(word) - 2)
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    if kind == "double":
        return word[:place] + word[place] + word[place:]
    if kind == "drop":
        return word[:place] + word[place + 1 :]
    near = source.choice(_NEIGHBOURS[word[place].lower()])
    return word[:place] + near + word[place + 1 :]


def odd_case(text: str, source: Random) -> str:
    """Capitals by turns, by chance, or everywhere."""
    style = source.choice(["turns", "chance", "all"])
    if style == "all":
        return text.upper()
    ups = (k % 2 == 0 if style == "turns" else source.random() < 0.5 for k in range(len(text)))
    return "".join(c.upper() if up else c.lower() for c, up in zip(text, ups, strict=True))
