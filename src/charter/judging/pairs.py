"""Labelled pairs: two answers to a prompt and which one people preferred, read from a file.

Owns the formats and what is wrong with a row. Three kinds of rows are known:

    {"chosen": DIALOGUE, "rejected": DIALOGUE}                   HH-RLHF
    {"prompt": …, "chosen": …, "rejected": …[, "p": .8]}         TRL preference
    {"prompt": …, "a": …, "b": …, "label": "a" | "b" | "tie"}    or "p_a": .8 in place of the label

It does not know who will learn from the pairs, or be tested on them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from charter.errors import DataError
from charter.prompts import sets
from charter.records import Comparison, Message, Origin, digest

_LABELS = {"a": 1.0, "b": 0.0, "tie": 0.5}
_SHAPES = "chosen and rejected, or prompt, a, b and label"


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """A comparison, and the probability that people prefer its answer A."""

    comparison: Comparison
    p_a: float

    def swap(self) -> LabelledPair:
        """The same pair with the answers exchanged."""
        return LabelledPair(self.comparison.swap(), 1.0 - self.p_a)

    def preferred_first(self) -> LabelledPair:
        """The same pair with the preferred answer as A."""
        return self.swap() if self.p_a < 0.5 else self


@dataclass(frozen=True, slots=True)
class PairFile:
    """The pairs of one file, and how many rows were left out, by reason."""

    source: str
    pairs: tuple[LabelledPair, ...]
    dropped: Mapping[str, int]


def read_pairs(source: str | Path, *, limit: int | None = None) -> PairFile:
    """Read labelled pairs.

    Args:
        source: a .jsonl, .json or .csv file (.gz too), or `hf:NAME`.
        limit: how many pairs to keep, the first ones; all if None.

    Returns:
        the pairs. Rows that say nothing (two equal answers, or HH dialogues that part before the
        last answer) are left out and counted.

    Raises:
        DataError: with file and line, if a row is not a labelled pair or there is none at all.
    """
    kind, dropped = sets.guess_kind(str(source)), Counter[str]()
    pairs = tuple(islice(_pairs(str(source), kind, dropped), limit))
    if not pairs:
        raise DataError("no labelled pairs in it", file=source, expected="at least one pair")
    return PairFile(str(source), pairs, dict(dropped))


def _pairs(source: str, kind: str, dropped: Counter[str]) -> Iterator[LabelledPair]:
    for line, row in sets.rows(source):
        found = _Row(row, source, line, kind).pair()
        if isinstance(found, str):
            dropped[found] += 1
        else:
            yield found


@dataclass(frozen=True, slots=True)
class _Row:
    """One row and where it stands."""

    value: Any
    file: str
    line: int
    kind: str

    def pair(self) -> LabelledPair | str:
        """The pair, or the reason why the row says nothing."""
        if not isinstance(self.value, Mapping):
            raise self._wrong(f"is a {type(self.value).__name__}", "an object")
        if "chosen" in self.value:
            hh = "prompt" not in self.value and isinstance(self.value["chosen"], str)
            return self._hh() if hh else self._preference()
        if "a" in self.value:
            return self._compared(self._text("a"), self._text("b"), self._label())
        raise self._wrong(f"has fields {sorted(map(str, self.value))}", _SHAPES)

    def _hh(self) -> LabelledPair | str:
        chosen, rejected = self._turns("chosen"), self._turns("rejected")
        if chosen[:-1] != rejected[:-1]:
            return "different_dialogues"
        return self._compared(chosen[-1].content, rejected[-1].content, 1.0)

    def _preference(self) -> LabelledPair | str:
        p = self._share("p") if "p" in self.value else 1.0
        return self._compared(self._answer("chosen"), self._answer("rejected"), p)

    def _compared(self, a: str, b: str, p_a: float) -> LabelledPair | str:
        if a == b:
            return "same_answer"
        # A row with a prompt of its own needs no dialogue to cut one from.
        row = dict(self.value)
        if "prompt" in row:
            row.pop("chosen", None)
        prompt = sets.prompt_of(row, self.kind, self.file, self.line)
        prompt = msgspec.structs.replace(prompt, id=f"{self.kind}-{digest(prompt.messages)}")
        id = str(self.value.get("id") or f"pair-{digest([prompt.messages, a, b])}")
        return LabelledPair(Comparison(id, prompt, a, b, Origin("pairs", "people")), p_a)

    def _turns(self, field: str) -> tuple[Message, ...]:
        try:
            turns = sets.hh_turns(self._text(field))
        except ValueError as error:
            raise self._wrong(str(error), "turns marked Human: and Assistant:", field) from error
        if turns[-1].role != "assistant" or len(turns) < 2:
            raise self._wrong("does not end with an answer", "an Assistant: turn last", field)
        return turns

    def _answer(self, field: str) -> str:
        value = self.value.get(field)
        if not isinstance(value, list):
            return self._text(field)
        last = value[-1] if value else None
        if not isinstance(last, Mapping) or not isinstance(last.get("content"), str):
            raise self._wrong("has no answer", "a text, or messages that end with one", field)
        return str(last["content"])

    def _label(self) -> float:
        if "p_a" in self.value:
            return self._share("p_a")
        label = str(self.value.get("label", "")).strip().lower()
        if label not in _LABELS:
            expected = "a, b or tie (or a field p_a between 0 and 1)"
            raise self._wrong(f"is {self.value.get('label')!r}", expected, "label")
        return _LABELS[label]

    def _share(self, field: str) -> float:
        value = self.value[field]
        try:
            share = float(value)
        except (TypeError, ValueError):
            share = -1.0
        if isinstance(value, bool) or not 0 <= share <= 1:
            raise self._wrong(f"is {value!r}", "a number between 0 and 1", field)
        return share

    def _text(self, field: str) -> str:
        value = self.value.get(field)
        if not isinstance(value, str):
            problem = "is missing" if value is None else f"is a {type(value).__name__}"
            raise self._wrong(problem, "text", field)
        return value

    def _wrong(self, problem: str, expected: str, field: str | None = None) -> DataError:
        return DataError(problem, file=self.file, line=self.line, field=field, expected=expected)
