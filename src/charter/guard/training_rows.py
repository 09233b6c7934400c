"""Rows to train a guard on: read from files, made readable, told apart by what they label.

Owns reading `GuardExample`s, leaving out repeated ones, and the split. Knows no features.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from charter.errors import DataError, InputError
from charter.guard.examples import GuardExample
from charter.store import RECORDS

_PLACES = (RECORDS, f"examples/{RECORDS}")


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """Rows by what their label is of, and by side of the split."""

    prompts: tuple[GuardExample, ...]
    answers: tuple[GuardExample, ...]
    prompts_held_out: tuple[GuardExample, ...]
    answers_held_out: tuple[GuardExample, ...]

    def check(self) -> TrainingRows:
        """The same.

        Raises:
            InputError: there is nothing to learn from.
        """
        labels = {row.label for row in self.prompts}
        if labels != {"harmful", "harmless"}:
            raise InputError(
                "prompts to train on have one label only" if labels else "no prompts to train on",
                field="--data",
                expected="harmful and harmless prompts in the train split",
            )
        return self

    @property
    def can_learn_answers(self) -> bool:
        """Whether there are answers of both labels."""
        return {row.label for row in self.answers} == {"harmful", "harmless"}


def load(paths: Sequence[Path]) -> TrainingRows:
    """Rows of files, and of folders that `charter guard synthesize` wrote.

    Raises:
        DataError: a file is missing or holds something else; names the line.
    """
    return divided(row for path in paths for row in _file(path))


def divided(rows: Iterable[GuardExample]) -> TrainingRows:
    """Rows apart, each exchange once."""
    parts: dict[tuple[bool, bool], dict[str, GuardExample]] = {
        (answered, held): {} for answered in (False, True) for held in (False, True)
    }
    for row in rows:
        parts[bool(row.answer), row.split == "eval"].setdefault(row.exchange, row)
    one = {key: tuple(found.values()) for key, found in parts.items()}
    return TrainingRows(one[False, False], one[True, False], one[False, True], one[True, True])


def _file(path: Path) -> Iterable[GuardExample]:
    file = path
    if path.is_dir():
        places = [path / place for place in _PLACES if (path / place).is_file()]
        if not places:
            expected = "a folder that `charter guard synthesize` wrote, or a file of its rows"
            raise DataError("no guard data in it", file=path, expected=expected)
        file = places[0]
    decoder = msgspec.json.Decoder(GuardExample)
    try:
        opener = gzip.open if file.suffix == ".gz" else open
        with opener(file, "rb") as stream:
            for number, line in enumerate(stream, 1):
                yield _decoded(decoder, line, file, number)
    except OSError as error:
        raise DataError(f"cannot be read: {error}", file=file) from error


def _decoded(
    decoder: msgspec.json.Decoder[GuardExample], line: bytes, file: Path, number: int
) -> GuardExample:
    try:
        return decoder.decode(line)
    except msgspec.MsgspecError as error:
        raise DataError(str(error), file=file, line=number, expected="a guard example") from error
