"""Preferences to learn from: pairs of answers, which one was preferred, and how they are divided.

Reads, beside what `judging` knows, the CSV of Inverse Constitutional AI (`text_a`, `text_b`,
`preferred_text`) and its annotated pairs. A pair without a preference is left out and counted.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charter.collective.induction.scripted import question
from charter.errors import DataError
from charter.formats import annotated_pairs, labels_as_pairs
from charter.judging.human import human_pairs
from charter.judging.pairs import LabelledPair, read_pairs
from charter.prompts import sets
from charter.records import Comparison, Labelled, Message, Origin, Prompt, Verdict, digest
from charter.seeds import derive, draws

FEWEST = 8
"""Pairs below which nothing could be learned and tested."""
_SHOWN = re.compile(r"Instruction:(?P<asked>.*?)\n\s*Output:(?P<answer>.*)", re.DOTALL)
_SIDES = {"text_a": 1, "a": 1, "text_b": -1, "b": -1}


@dataclass(frozen=True, slots=True)
class Preferences:
    """Pairs with a preference.

    Attributes:
        name: of the file or run.
        comparisons: the pairs.
        signs: 1 where A was preferred, -1 where B was.
        left_out: rows without a preference, by reason.
        digest: of pairs and preferences.
    """

    name: str
    comparisons: tuple[Comparison, ...]
    signs: tuple[int, ...]
    left_out: Mapping[str, int]
    digest: str

    def part(self, places: Sequence[int]) -> tuple[list[Comparison], list[int]]:
        """The comparisons and signs at some places."""
        return [self.comparisons[i] for i in places], [self.signs[i] for i in places]


def read(source: str | Path, *, limit: int | None = None) -> Preferences:
    """Read a file of preferences.

    Args:
        source: CSV with `text_a`, `text_b`, `preferred_text`; annotated pairs (.json); JSONL of
            our own labels; or any pair file that `judging.pairs` reads.
        limit: how many pairs to take, the first ones.

    Raises:
        DataError: with file and line, if it is none of these or holds too few preferences.
    """
    file, name = str(source), Path(str(source)).name
    if _is_annotated(file):
        return of_labels(name, labels_as_pairs.labels(annotated_pairs.read(Path(file))), limit)
    _, first = next(sets.rows(file), (0, None))
    left_out: Counter[str] = Counter()
    pairs: Iterable[LabelledPair]
    if isinstance(first, Mapping) and "text_a" in first:
        pairs = _of_csv(file, left_out)
    elif isinstance(first, Mapping) and "comparison" in first:
        pairs = human_pairs(file)
    else:
        found = read_pairs(file)
        left_out.update(found.dropped)
        pairs = found.pairs
    return _gathered(name, ((p.comparison, p.p_a) for p in pairs), left_out, limit)


def of_labels(name: str, labels: Iterable[Labelled], limit: int | None = None) -> Preferences:
    """Preferences from a judge's labels; abstentions are counted by reason.

    Raises:
        DataError: there are too few.
    """
    left_out: Counter[str] = Counter()
    found: list[tuple[Comparison, float]] = []
    for one in labels:
        if isinstance(one.label, Verdict):
            found.append((one.comparison, one.label.p_a))
        else:
            left_out[one.label.reason] += 1
    return _gathered(name, found, left_out, limit)


def divided(
    preferences: Preferences, held_out: float, seed: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Places of the training pairs and of the held-out ones.

    The pairs of each question are shared out in proportion, so that a rule about one question can
    be both learned and tested. Pairs with the same two answers stay on one side.

    Args:
        preferences: what to divide.
        held_out: share to hold out.
        seed: of the order within a question.
    """
    groups: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, one in enumerate(preferences.comparisons):
        same = digest(sorted((one.a, one.b)))
        groups[digest([derive("induce", seed), one.prompt.messages])][same].append(place)
    train: list[int] = []
    held: list[int] = []
    for key in sorted(groups):
        units = [groups[key][same] for same in sorted(groups[key])]
        draws("induce", seed, key).shuffle(units)
        for unit in units:
            short = len(held) < held_out * (len(train) + len(held) + len(unit))
            (held if short else train).extend(unit)
    return tuple(sorted(train)), tuple(sorted(held))


def shared_questions(preferences: Preferences, held: Sequence[int]) -> int:
    """How many held-out pairs are about a question that training pairs are about as well."""
    out = set(held)
    known = {question(c) for i, c in enumerate(preferences.comparisons) if i not in out}
    return sum(question(preferences.comparisons[i]) in known for i in held)


def _gathered(
    name: str,
    found: Iterable[tuple[Comparison, float]],
    left_out: Counter[str],
    limit: int | None,
) -> Preferences:
    kept: list[tuple[Comparison, int]] = []
    for comparison, p_a in found:
        if limit is not None and len(kept) >= limit:
            break
        if p_a == 0.5:
            left_out["tie"] += 1
        elif comparison.a == comparison.b:
            left_out["same_answer"] += 1
        else:
            kept.append((comparison, 1 if p_a > 0.5 else -1))
    if len(kept) < FEWEST:
        problem = f"{len(kept)} pairs with a preference"
        raise DataError(problem, file=name, expected=f"at least {FEWEST}")
    comparisons, signs = zip(*kept, strict=True)
    mark = digest([[c.prompt.messages, c.a, c.b, sign] for c, sign in kept])
    return Preferences(name, comparisons, signs, dict(sorted(left_out.items())), mark)


def _is_annotated(file: str) -> bool:
    """Annotated pairs are one JSON object; lists of rows are known to `sets`."""
    path = Path(file)
    if path.suffix != ".json" or not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")


def _of_csv(file: str, left_out: Counter[str]) -> Iterable[LabelledPair]:
    for line, row in sets.rows(file):
        a, b = (_text(row, side, file, line) for side in ("text_a", "text_b"))
        said = str(row.get("preferred_text") or "").strip().lower()
        if said not in _SIDES:
            left_out["no_preference"] += 1
            continue
        yield LabelledPair(_comparison(a, b, row), (1 + _SIDES[said]) / 2)


def _text(row: Any, side: str, file: str, line: int) -> str:
    value = row.get(side) if isinstance(row, Mapping) else None
    if not isinstance(value, str):
        raise DataError("is missing", file=file, line=line, field=side, expected="text")
    return value


def _comparison(a: str, b: str, row: Mapping[str, Any]) -> Comparison:
    """Texts that hold the same instruction share a prompt; others stand as they are."""
    one, other = _SHOWN.fullmatch(a.strip()), _SHOWN.fullmatch(b.strip())
    asked = str(row.get("prompt") or "")
    if one and other and one["asked"].strip() == other["asked"].strip():
        asked, a, b = one["asked"].strip(), one["answer"].strip(), other["answer"].strip()
    messages = (Message("user", asked),)
    prompt = Prompt(f"asked-{digest(messages)}", messages)
    return Comparison(f"pair-{digest([messages, a, b])}", prompt, a, b, Origin("pairs", "people"))
