"""People's labels as a judge: so RLHF and RLAIF are the same pipeline.

Owns finding the label of a comparison: by its texts, in either order, since an id does not say
which answer stood first. Reading pair files is `pairs`; files of records that this program wrote
(`Labelled`, with people's verdicts filled in) are read here. A label says what people preferred,
not under which principle: every principle gets the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from charter.errors import DataError
from charter.judging.pairs import LabelledPair, read_pairs
from charter.prompts import sets
from charter.records import Abstention, Comparison, Labelled, Verdict, digest
from charter.seeds import draws

_SIDES = {"a": 1.0, "b": 0.0, "tie": 0.5}


class HumanJudge:
    """Satisfies `records.Judge`.

    Args:
        pairs: labelled pairs. Several labels of one pair are averaged.
        name: what the labels are called, such as the file's name.
    """

    def __init__(self, pairs: Iterable[LabelledPair], *, name: str) -> None:
        self.name = name
        self._labels: dict[str, tuple[float, int]] = {}
        for pair in pairs:
            self._add(pair)

    @cached_property
    def identity(self) -> str:
        """Name, and a digest of every label."""
        return f"human:{self.name}@{digest(self._labels)}"

    def vote(
        self, comparisons: Sequence[Comparison], principles: Sequence[Sequence[str]]
    ) -> list[list[float | Abstention]]:
        """See `records.Judge`; a pair that nobody labelled is abstained from (`no_label`)."""
        return [
            [self._p_first(comparison) for _ in ids]
            for comparison, ids in zip(comparisons, principles, strict=True)
        ]

    def _add(self, pair: LabelledPair) -> None:
        one, other = _key(pair.comparison), _key(pair.comparison.swap())
        for key, p in ((one, pair.p_a), (other, 1.0 - pair.p_a)):
            total, count = self._labels.get(key, (0.0, 0))
            self._labels[key] = (total + p, count + 1)

    def _p_first(self, comparison: Comparison) -> float | Abstention:
        total, count = self._labels.get(_key(comparison), (0.0, 0))
        if not count:
            return Abstention(comparison.id, "no_label", self.identity)
        return total / count


def human_pairs(source: str | Path, *, limit: int | None = None) -> list[LabelledPair]:
    """Pairs and labels of a file, with the answers put in a fixed random order.

    HH-RLHF names the better answer first in every row; left so, "A" would always be right.

    Args:
        source: a file that `pairs.read_pairs` knows, or JSONL of `Labelled` records; a record may
            have `label` ("a", "b", "tie") or `p_a` in place of a verdict. Abstentions are skipped.
        limit: pairs to keep, the first ones.

    Raises:
        DataError: with file and line, if it is no such file, or has no labelled pair.
    """
    found = _annotated(str(source)) if _is_annotated(str(source)) else None
    if found is None:
        return [_shuffled(pair) for pair in read_pairs(source, limit=limit).pairs]
    pairs = list(found)[:limit]
    if not pairs:
        raise DataError("no labelled pairs in it", file=source, expected="at least one pair")
    return pairs


def _key(comparison: Comparison) -> str:
    """What a person was shown, but for white space around it."""
    talk = [(m.role, m.content.strip()) for m in comparison.prompt.messages]
    return digest([talk, comparison.a.strip(), comparison.b.strip()])


def _shuffled(pair: LabelledPair) -> LabelledPair:
    texts = sorted((pair.comparison.a, pair.comparison.b))
    swap = draws("human", *texts).random() < 0.5
    first = texts[swap]
    return pair if pair.comparison.a == first else pair.swap()


def _is_annotated(source: str) -> bool:
    _, row = next(sets.rows(source), (0, None))
    return isinstance(row, dict) and isinstance(row.get("comparison"), dict)


def _annotated(source: str) -> Iterator[LabelledPair]:
    for line, row in sets.rows(source):
        try:
            comparison = msgspec.convert(row["comparison"], Comparison)
            p_a = _label(row)
        except (KeyError, TypeError, ValueError) as error:
            expected = "a comparison with a verdict, a label (a, b, tie) or a p_a in [0, 1]"
            raise DataError(f"{error}", file=source, line=line, expected=expected) from error
        if p_a is not None:
            yield LabelledPair(comparison, p_a)


def _label(row: dict[str, Any]) -> float | None:
    if "p_a" in row:
        p_a = float(row["p_a"])
        if not 0 <= p_a <= 1:
            raise ValueError(f"p_a is {p_a!r}")
        return p_a
    label = row["label"]
    if isinstance(label, str):
        return _SIDES[label.strip().lower()]
    found = msgspec.convert(row, Labelled).label
    return found.p_a if isinstance(found, Verdict) else None
