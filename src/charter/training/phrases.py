"""Signs that a policy repeats itself: distinct n-grams, common openings, common closings.

Collapse into one closing sentence is how small aligned models break (*Constitution or Collapse*,
arXiv 2504.04918), and a rising reward does not show it. Owns the counting; knows no reward.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from charter.records import Record
from charter.statistics import Rate, wilson

_OPENING = 4
"""Words of an opening; of a closing sentence, only the last ones count."""
_CLOSING = 8
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


class Phrase(Record, frozen=True):
    """Words that several answers begin or end with, and how many do."""

    text: str
    count: int


class Repetition(Record, frozen=True):
    """How alike some answers are.

    Attributes:
        distinct_1: distinct words by words, over all answers (Li et al. 2016).
        distinct_2: the same of pairs of words.
        openings: the most common first words.
        closings: the most common last words of last sentences.
        same_closing: share of answers that end with the most common closing.
    """

    distinct_1: float | None
    distinct_2: float | None
    openings: tuple[Phrase, ...]
    closings: tuple[Phrase, ...]
    same_closing: Rate


def repetition(answers: Sequence[str], *, most: int) -> Repetition:
    """Count over the answers that say anything; `most` phrases are listed of each kind."""
    split = [words for words in map(_words, answers) if words]
    openings = Counter(" ".join(words[:_OPENING]) for words in split)
    closings = Counter(filter(None, map(_closing, answers)))
    top = max(closings.values(), default=0)
    return Repetition(
        _distinct(split, 1),
        _distinct(split, 2),
        _phrases(openings, most),
        _phrases(closings, most),
        wilson(top, closings.total()),
    )


def _words(text: str) -> list[str]:
    return re.findall(r"\w+(?:'\w+)?", text.lower())


def _closing(answer: str) -> str:
    sentences = [s for s in _SENTENCE.split(answer.strip()) if s.strip()]
    return " ".join(_words(sentences[-1])[-_CLOSING:]) if sentences else ""


def _distinct(texts: Sequence[list[str]], size: int) -> float | None:
    grams = [tuple(words[i : i + size]) for words in texts for i in range(len(words) - size + 1)]
    return len(set(grams)) / len(grams) if grams else None


def _phrases(counts: Counter[str], most: int) -> tuple[Phrase, ...]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Phrase(text, count) for text, count in ordered[:most])
