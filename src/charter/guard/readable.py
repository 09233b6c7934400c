"""Making hidden text readable, in place: what a code says is what gets judged.

Owns undoing, by form alone, what needs no knowledge of the content: signs that show nothing,
look-alike letters, letters set apart, letters as digits, odd capitals, Base64, hexadecimal, ROT13,
text from right to left, a text cut into variables, agreed code words. A text without any of these
comes back as it is. A small language model reads none of them, and large ones read all.

Nothing here says that a code is bad: a harmless request is decoded too, and judged as harmless.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from importlib import resources

from charter.guard.forms import encodings as code

LIMIT = 20_000
"""Characters of a text that are decoded; a longer one is read as it stands."""
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/_-]{16,}={0,2}(?![A-Za-z0-9+/=_-])")
_HEX = re.compile(r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{2}[ :]?){8,}(?![0-9A-Za-z])")
_APART = r"(?<!\S)\S(?:([ \-._*])\S)(?:\1\S){%s,}(?!\S)"
_SPACED, _SPACED_SHORT = re.compile(_APART % 3), re.compile(_APART % 0)
_GAPS = re.compile(r"(?<=\w) {2,}(?=\w)")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_LEET = re.compile(
    r"(?<![\w@$])(?=\S*[A-Za-z])(?=\S*[013457@$])[A-Za-z013457@$]+(?:'[A-Za-z013457@$]+)?(?![\w@$])"
)
_PLAIN_WORD = re.compile(r"[^\W\d_]+")
_PIECE = re.compile(r"""^\W*\w[\w.]*\s*=\s*("(?:[^"\\]|\\.)*"|'[^']*')\s*;?\s*$""", re.MULTILINE)
_MEANS = re.compile(r'"([^"\n]{1,40})" (?:means|stands for|is) "([^"\n]{1,60})"')
_SHARE_OF_CAPITALS = 0.3
_FEWEST, _LETTERS = 2, 6
"""A code must give so many different common words, with so many letters, to be taken for one."""


def readable(text: str) -> str:
    """The text with everything that can be decoded put in plain letters, where it stood."""
    text = cleaned(text)
    if len(text) > LIMIT:
        return text
    for decode in (_joined_pieces, _real_words, _coded_spans, _unspaced, _unleet, _turned, _calm):
        text = decode(text)
    return text


def hidden(text: str) -> list[str]:
    """What was decoded, by itself: the request without the frame around it."""
    text = cleaned(text)
    if len(text) > LIMIT:
        return []
    found = [said for _, said in _decoded(text)]
    found += [said for decode in _CIPHERS for _, _, said in _spans(text, decode)]
    joined = _pieces(text)
    return [*found, *([joined] if joined else [])]


def cleaned(text: str) -> str:
    """Without characters that show nothing, and with look-alike letters in their own alphabet."""
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKC", text)
    text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    latin = sum("a" <= c.lower() <= "z" for c in text)
    others = sum(c.isalpha() for c in text) - latin
    # A text in another alphabet is left alone, unless a word mixes the two.
    return _WORD.sub(lambda match: _folded(match.group(), latin > others), text)


def _folded(word: str, mostly_latin: bool) -> str:
    folded = code.from_homoglyphs(word)
    mixed = any("a" <= c.lower() <= "z" for c in word)
    return folded if folded.isascii() and (mixed or mostly_latin) else word


def _coded_spans(text: str) -> str:
    for span, said in sorted(_decoded(text), reverse=True):
        text = text[: span[0]] + said + text[span[1] :]
    return text


def _decoded(text: str) -> list[tuple[tuple[int, int], str]]:
    """Stretches of Base64 or hexadecimal that hold text, and what they say."""
    found: list[tuple[tuple[int, int], str]] = []
    for pattern, decode in ((_HEX, _from_hex), (_BASE64, _from_base64)):
        for match in pattern.finditer(text):
            said = decode(match.group())
            taken = any(match.start() < end and start < match.end() for (start, end), _ in found)
            if said and not taken:
                found.append((match.span(), said))
    return found


def _from_hex(text: str) -> str:
    try:
        return _text_or_nothing(code.from_hex(text.replace(":", " ")))
    except ValueError:
        return ""


def _from_base64(text: str) -> str:
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return _text_or_nothing(code.from_base64(plain + "=" * (-len(plain) % 4)))
    except ValueError:
        return ""


def _text_or_nothing(text: str) -> str:
    shown = sum(c.isalpha() or c.isspace() for c in text)
    return text if text.strip() and shown >= 0.7 * len(text) else ""


def _unspaced(text: str) -> str:
    if not _SPACED.search(text):
        return text
    return _GAPS.sub(" ", _SPACED_SHORT.sub(lambda match: match.group()[::2], text))


def _unleet(text: str) -> str:
    words = (code.from_leetspeak(match.group()).lower() for match in _LEET.finditer(text))
    if not _enough({word for word in words if word in _common()}):
        return text
    return _LEET.sub(lambda match: code.from_leetspeak(match.group()), text)


def _calm(text: str) -> str:
    letters = [c for c in text if c.isalpha()]
    capitals = sum(c.isupper() for c in letters)
    odd = len(letters) >= 12 and capitals > _SHARE_OF_CAPITALS * len(letters)
    return text.lower() if odd else text


def _turned(text: str) -> str:
    for decode in _CIPHERS:
        for start, end, said in _spans(text, decode):
            text = text[:start] + said + text[end:]
    return text


def _spans(text: str, decode: Callable[[str], str]) -> Iterator[tuple[int, int, str]]:
    """The stretch of words that become common English words when decoded, if there is one.

    Each word counts +1 if it is common once decoded, -1 if it is common as it stands; the stretch
    with the highest sum wins, and grows over the words around it that are neither.
    """
    words = list(_WORD.finditer(text))
    marks = [_mark(match.group(), decode) for match in words]
    first, last = _heaviest(marks)
    inside = range(first, last + 1)
    if not _enough({words[i].group().lower() for i in inside if marks[i] > 0}):
        return
    while first > 0 and marks[first - 1] == 0:
        first -= 1
    while last + 1 < len(marks) and marks[last + 1] == 0:
        last += 1
    start, end = words[first].start(), words[last].end()
    # A full stop or a question mark belongs to what is decoded.
    end = end + 1 if text[end : end + 1] in tuple("?.!") else end
    start = start - 1 if start and text[start - 1] in "?.!" else start
    yield start, end, decode(text[start:end])


def _mark(word: str, decode: Callable[[str], str]) -> int:
    common = _common()
    if len(word) < 2:
        return 0
    return int(decode(word).lower() in common) - int(word.lower() in common)


def _enough(words: set[str]) -> bool:
    return len(words) >= _FEWEST and sum(map(len, words)) >= _LETTERS


def _heaviest(marks: list[int]) -> tuple[int, int]:
    """First and last place of the stretch with the highest sum; nothing if no mark is positive."""
    best, found, total, start = 0, (0, -1), 0, 0
    for place, mark in enumerate(marks):
        if total <= 0:
            total, start = 0, place
        total += mark
        if total > best:
            best, found = total, (start, place)
    return found


def _rot13(text: str) -> str:
    return code.from_rot13(text)


def _reversed(text: str) -> str:
    return code.from_reverse(text)


_CIPHERS: tuple[Callable[[str], str], ...] = (_rot13, _reversed)


@cache
def _common() -> frozenset[str]:
    file = resources.files("charter.guard") / "library" / "common_words.txt"
    return frozenset(file.read_text(encoding="utf-8").split())


def _pieces(text: str) -> str:
    """Strings that are put into variables, joined in their order; "" if they are too few."""
    quoted = _PIECE.findall(text)
    joined = "".join(map(_unquoted, quoted))
    # Fewer words are settings of a program rather than a request.
    return joined if len(quoted) >= _FEWEST and len(joined.split()) >= _FEWEST + 1 else ""


def _unquoted(quoted: str) -> str:
    if quoted.startswith("'"):
        return quoted[1:-1]
    try:
        return str(json.loads(quoted))
    except json.JSONDecodeError:
        return quoted[1:-1]


def _joined_pieces(text: str) -> str:
    joined = _pieces(text)
    return f"{_PIECE.sub('', text).strip()}\n{joined}" if joined else text


def _real_words(text: str) -> str:
    """Code words replaced by what the text says they mean; the glossary itself is taken out."""
    key = dict(_MEANS.findall(text))
    if not key:
        return text
    rest = _MEANS.sub("", text)
    return _PLAIN_WORD.sub(lambda match: key.get(match.group(), match.group()), rest)
