"""Answers that people labelled, read from a file, for testing a scorer.

Owns the columns, what a label means, and what is wrong with a row. It does not know the scorer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charter.errors import DataError, InputError
from charter.prompts import sets
from charter.records import Message, Prompt, Record, digest

COMPLIED = frozenset(
    ("1", "true", "yes", "1_full_compliance", "full_compliance", "compliance", "complied")
)
"""Labels that are known to say "the answer goes along"; `--positive` names others."""
DECLINED = frozenset(
    ("0", "false", "no", "2_full_refusal", "full_refusal", "refusal", "refused", "declined")
)
"""Labels that are known to say "the answer declines"."""
PARTLY = frozenset(("3_partial_refusal", "partial_refusal"))
"""Known labels that say neither: no to both questions."""


class Columns(Record, frozen=True):
    """Which columns of the file hold what. Without a prompt column the prompt is empty."""

    answer: str
    label: str
    prompt: str = ""

    @staticmethod
    def parse(text: str) -> Columns:
        """Read `prompt=NAME,answer=NAME,label=NAME`.

        Raises:
            InputError: a part is not `KEY=NAME`, or the answer or the label is missing.
        """
        named = {}
        for part in text.split(","):
            key, equals, name = (piece.strip() for piece in part.partition("="))
            if not equals or not name or key not in Columns.__struct_fields__:
                raise _columns(f"{part!r} is not understood")
            named[key] = name
        if not {"answer", "label"} <= named.keys():
            raise _columns(f"{text!r} names no answer or no label")
        return Columns(**named)


@dataclass(frozen=True, slots=True)
class LabelledAnswer:
    """An answer, and whether people said of it what the scorer looks for."""

    prompt: Prompt
    text: str
    positive: bool


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """The answers of a file.

    Attributes:
        answers: in the order of the file.
        labels: how often each label stands in it, as written.
        positive: the labels that count as positive.
        dropped: rows without a label, by reason.
    """

    answers: tuple[LabelledAnswer, ...]
    labels: Mapping[str, int]
    positive: tuple[str, ...]
    dropped: Mapping[str, int]


def read_labelled(
    source: str | Path,
    columns: Columns,
    *,
    positive: Collection[str] = (),
    known: Collection[str] = COMPLIED,
    limit: int | None = None,
) -> LabelledFile:
    """Read labelled answers.

    Args:
        source: a .jsonl, .json or .csv file (.gz too), or `hf:NAME`.
        columns: where prompt, answer and label stand.
        positive: labels that say yes; all others say no. Without them the labels must be among
            those that are known.
        known: the known labels that say yes, `COMPLIED` or `DECLINED`.
        limit: how many answers to keep, the first ones.

    Raises:
        DataError: with file, line and field, for a row that is no labelled answer, for a label
            that is not known, or if there is none at all.
    """
    wanted = frozenset(map(str.strip, positive))
    labels, dropped = Counter[str](), Counter[str]()
    found: list[LabelledAnswer] = []
    for line, row in sets.rows(str(source)):
        if limit is not None and len(found) >= limit:
            break
        label = _label(row, columns.label, str(source), line)
        if not label:
            dropped["no_label"] += 1
            continue
        labels[label] += 1
        yes = label in wanted if wanted else _known(label, known, columns, str(source), line)
        found.append(_answer(row, columns, yes, str(source), line))
    _check(found, labels, wanted, source, columns)
    says_yes = sorted(label for label in labels if label in wanted or label.lower() in known)
    return LabelledFile(
        tuple(found), dict(labels), tuple(sorted(wanted) or says_yes), dict(dropped)
    )


def _answer(row: Any, columns: Columns, yes: bool, file: str, line: int) -> LabelledAnswer:
    text = "\n".join(m.content for m in _turns(row, columns.answer, "assistant", file, line))
    messages = tuple(_turns(row, columns.prompt, "user", file, line)) if columns.prompt else ()
    return LabelledAnswer(Prompt(f"labelled-{digest(messages)}", messages), text, yes)


def _turns(row: Any, column: str, role: str, file: str, line: int) -> Iterator[Message]:
    """A text as one turn, or a list of messages as it stands."""
    value = _cell(row, column, file, line)
    for turn in value if isinstance(value, list) else [{"role": role, "content": value}]:
        said = turn.get("content") if isinstance(turn, Mapping) else 0
        # An empty cell is an empty answer: the scorer leaves it unscored.
        if not (said is None or isinstance(said, str)):
            raise DataError("is no text", file=file, line=line, field=column, expected="text")
        yield Message(turn.get("role", role), said or "")


def _label(row: Any, column: str, file: str, line: int) -> str:
    value = _cell(row, column, file, line)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip()


def _cell(row: Any, column: str, file: str, line: int) -> Any:
    if not isinstance(row, Mapping) or column not in row:
        has = ", ".join(map(str, row)) if isinstance(row, Mapping) else type(row).__name__
        raise DataError("no such column", file=file, line=line, field=column, expected=has)
    return row[column]


def _known(label: str, known: Collection[str], columns: Columns, file: str, line: int) -> bool:
    if label.lower() not in COMPLIED | DECLINED | PARTLY:
        raise DataError(
            f"is {label!r}, which is not a known label",
            file=file,
            line=line,
            field=columns.label,
            expected="1 or 0, or --positive VALUE to say which label counts",
        )
    return label.lower() in known


def _check(
    found: list[LabelledAnswer],
    labels: Counter[str],
    wanted: frozenset[str],
    source: str | Path,
    columns: Columns,
) -> None:
    if not found:
        raise DataError("no labelled answers in it", file=source, expected="at least one")
    missing = sorted(wanted - labels.keys())
    if missing:
        raise DataError(
            f"no row is labelled {missing[0]!r}",
            file=source,
            field=columns.label,
            expected=f"one of {', '.join(sorted(labels)[:12])}",
        )
    if len({answer.positive for answer in found}) < 2:
        raise DataError(
            "all rows are on one side",
            file=source,
            field=columns.label,
            expected="answers that do it and answers that do not",
        )


def _columns(problem: str) -> InputError:
    return InputError(
        problem, field="--columns", expected="prompt=NAME,answer=NAME,label=NAME (prompt optional)"
    )
