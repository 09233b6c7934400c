"""Cleaning of generated text, and the reasons for which it is thrown away.

Owns: stripping what a model puts around an answer (announcements, role names, emoji, a cut-off last
sentence), and naming what is degenerate. The reasons are stable strings: reports count them.
"""

from __future__ import annotations

import re

from charter.records import Completion

_ANNOUNCEMENT = re.compile(
    # "Certainly not." and "This is a crime: …" are answers, and stay.
    r"^\s*(?:(?:sure|okay|ok|certainly|of course)\b(?!,? not\b)[^\n]{0,60}?[:!.]\s+)?"
    r"(?:(?:here(?:'s| is)\b|this is (?:the|my)\b)[^\n:]{0,60}:\s*)?"
    r"(?:(?:the\s+)?(?:revised|improved|rewritten|new|better)\s+(?:answer|version|response)\s*:\s*"
    r"|(?:critique|revision|answer|response)\s*:\s*)?",
    re.IGNORECASE,
)
_ROLE = re.compile(
    r"(?:^|\n)\s*(?:human|user|assistant|request|critique request|revision request)\s*:",
    re.IGNORECASE,
)
_EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\ufe0f\u200d]+")
_SENTENCE_END = re.compile(r"[.!?][\"')\]]*(?=\s|$)")
_NOTHING_TO_CHANGE = re.compile(r"^\s*(?:nothing (?:needs|here needs)|no change)", re.IGNORECASE)
_MIN_WORDS = 4
_MIN_DISTINCT = 0.55
"""Share of distinct word trigrams under which a text counts as repetitive. Ordinary prose lies
above .9; a loop of one sentence falls under one half by its second repetition."""


def usable(made: Completion, *, prompt: str = "") -> tuple[str, str]:
    """What a model gave back, cleaned, and why it is unusable ("" if it is not).

    Args:
        made: the completion; a call that failed has its own reason, such as `timeout`.
        prompt: see `fault`.
    """
    text = clean(made.text, finished=made.finish == "stop")
    return text, made.failure or fault(text, prompt=prompt)


def clean(text: str, *, finished: bool = True) -> str:
    """Strip announcements, role names and emoji; cut back to the last whole sentence.

    Emoji are removed because a small model copies them into every closing, which Constitution or
    Collapse (arXiv 2504.04918) traces a collapse to.

    Args:
        text: as generated.
        finished: whether the model ended by itself; if not, a last half sentence is cut off.
    """
    text = _EMOJI.sub("", text).strip().strip('"').strip()
    text = _ANNOUNCEMENT.sub("", text, count=1)
    leak = _ROLE.search(text)
    if leak:
        text = text[: leak.start()]
    text = text.strip()
    return text if finished else _whole_sentences(text)


def fault(text: str, *, prompt: str = "") -> str:
    """Why a cleaned text is unusable, or "" if it is not.

    Returns:
        `empty`, `too_short`, `repetitive`, `echo` (it only says the prompt again), or "".
    """
    words = re.findall(r"\w+", text.lower())
    if not words:
        return "empty"
    if len(words) < _MIN_WORDS:
        return "too_short"
    if distinct_trigrams(words) < _MIN_DISTINCT:
        return "repetitive"
    asked = re.findall(r"\w+", prompt.lower())
    if asked and (words == asked or (words[: len(asked)] == asked and len(words) < 2 * len(asked))):
        return "echo"
    return ""


def distinct_trigrams(words: list[str]) -> float:
    """Share of word trigrams that are distinct; 1.0 for fewer than three words."""
    grams = list(zip(words, words[1:], words[2:], strict=False))
    return len(set(grams)) / len(grams) if grams else 1.0


def says_nothing_to_change(critique: str) -> bool:
    """Whether a critique finds the answer good as it is."""
    return bool(_NOTHING_TO_CHANGE.match(critique))


def _whole_sentences(text: str) -> str:
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    return text[: ends[-1]] if ends else text
