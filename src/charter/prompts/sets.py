"""Prompt sets: those that ship with the package, and loaders for other people's files.

Owns: reading JSONL, CSV, Hugging Face data sets and the HH-RLHF format into `Prompt` records, and
the split of sets that bring none. Knows nothing of what the prompts are for.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, cast, get_args

from charter.errors import DataError
from charter.prompts import hub
from charter.records import Message, Prompt, Role, Split, digest

LIBRARY = ("redteam", "benign", "borderline")
TEXT_FIELDS = (
    "prompt",
    "text",
    "question",
    "instruction",
    "goal",
    "Goal",
    "Behavior",
    "forbidden_prompt",
)
"""Fields that hold a prompt; the first one found is read."""
_EVAL_SHARE = 0.25
_TURN = re.compile(r"\n\n(Human|Assistant):")
_KIND_WORDS = {
    "redteam": ("redteam", "red-team", "red_team", "harmful", "advbench", "harmbench"),
    "borderline": ("borderline", "xstest"),
    "benign": ("benign", "helpful", "harmless-prompts"),
}


def library(kind: str) -> list[Prompt]:
    """The package's own prompts of one kind: `redteam`, `benign` or `borderline`."""
    name = f"{kind}.jsonl"
    file = resources.files("charter.prompts") / "library" / name
    return [prompt_of(row, kind, f"library/{name}", n) for n, row in _jsonl(file.read_text(), name)]


def load(source: str, kind: str | None = None) -> Iterator[Prompt]:
    """Read prompts from a file, a Hugging Face data set, or the package.

    Args:
        source: `library` (with `kind`), a path ending in .jsonl, .json, .csv (optionally .gz), or
            `hf:NAME[:SPLIT]` where NAME is a hub name or a folder written by `save_to_disk`.
        kind: kind of prompts that do not say; guessed from the file's name if not given.

    Yields:
        prompts in file order, streamed. Ids are content digests where the file has none.

    Raises:
        DataError: missing, empty, or not in a known format; names file, line and field.
    """
    if source == "library":
        yield from library(kind or "redteam")
        return
    default = kind or guess_kind(source)
    count = 0
    for number, row in rows(source):
        count += 1
        yield prompt_of(row, default, source, number)
    if not count:
        raise DataError("no prompts in it", file=source, expected="at least one row")


def guess_kind(source: str) -> str:
    """Kind that a file's name suggests; `redteam` if it suggests none."""
    name = Path(source).name.lower()
    for kind, words in _KIND_WORDS.items():
        if any(word in name for word in words):
            return kind
    return "redteam"


def prompt_of(row: Any, kind: str, file: str, line: int) -> Prompt:
    """A prompt from one row of a file.

    A row is a text, or a mapping with `messages`, or with `chosen` (HH format: the dialogue up to
    the last answer), or with one of the usual text fields.
    """
    if isinstance(row, str):
        row = {"text": row}
    if not isinstance(row, Mapping):
        raise DataError(f"is a {type(row).__name__}", file=file, line=line, expected="an object")
    messages = _messages(row, file, line)
    if messages[-1].role != "user":
        raise DataError("the last turn is not the user's", file=file, line=line, field="messages")
    text = "\n".join(m.content for m in messages)
    stated = row.get("kind") if row.get("kind") in LIBRARY else None
    return Prompt(
        id=str(row.get("id") or f"{stated or kind}-{digest(text)}"),
        messages=messages,
        kind=stated or kind,
        category=str(row.get("category") or ""),
        split=_split(row.get("split"), text),
    )


def hh_turns(dialogue: str) -> tuple[Message, ...]:
    """Messages of an HH-RLHF dialogue (turns marked by a blank line and `Human:`/`Assistant:`).

    Raises:
        ValueError: it has no such turns.
    """
    parts = _TURN.split(dialogue)[1:]
    if not parts:
        raise ValueError("no turn marked 'Human:' or 'Assistant:'")
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return tuple(
        Message("user" if who == "Human" else "assistant", said.strip()) for who, said in pairs
    )


def _messages(row: Mapping[str, Any], file: str, line: int) -> tuple[Message, ...]:
    if "messages" in row:
        return _chat(row["messages"], file, line)
    if isinstance(row.get("chosen"), str):
        return _hh_prompt(row["chosen"], file, line)
    for field in TEXT_FIELDS:
        value = row.get(field)
        if isinstance(value, list):
            return _chat(value, file, line)
        if isinstance(value, str):
            if not value.strip():
                raise DataError("is empty", file=file, line=line, field=field, expected="text")
            return (Message("user", value.strip()),)
    raise DataError(
        f"has fields {sorted(map(str, row))}",
        file=file,
        line=line,
        expected=f"one of {', '.join(TEXT_FIELDS)}, messages, chosen",
    )


def _hh_prompt(dialogue: str, file: str, line: int) -> tuple[Message, ...]:
    try:
        turns = hh_turns(dialogue)
    except ValueError as error:
        raise DataError(str(error), file=file, line=line, field="chosen") from error
    prompt = turns[:-1] if turns[-1].role == "assistant" else turns
    if not prompt:
        raise DataError("no user turn before the answer", file=file, line=line, field="chosen")
    return prompt


def _chat(value: Any, file: str, line: int) -> tuple[Message, ...]:
    try:
        messages = tuple(Message(turn["role"], str(turn["content"])) for turn in value)
        if any(m.role not in get_args(Role) for m in messages):
            raise ValueError("unknown role")
    except (TypeError, KeyError, ValueError) as error:
        raise DataError(
            "not a conversation",
            file=file,
            line=line,
            field="messages",
            expected='[{"role": "user", "content": "…"}, …]',
        ) from error
    if not messages:
        raise DataError("is empty", file=file, line=line, field="messages", expected="a turn")
    return messages


def _split(stated: Any, text: str) -> Split:
    """The stated split, or one by a hash of the text: the same text is always on the same side."""
    if stated in ("train", "eval"):
        return cast(Split, stated)
    if stated in ("test", "validation", "valid", "dev"):
        return "eval"
    words = " ".join(re.findall(r"\w+", text.lower()))
    share = int(hashlib.sha256(words.encode()).hexdigest()[:8], 16) / 0x1_0000_0000
    return "eval" if share < _EVAL_SHARE else "train"


def rows(source: str) -> Iterator[tuple[int, Any]]:
    """Rows of a file or hub set as they stand, with their 1-based line or row number.

    Raises:
        DataError: there is no such file, or a row cannot be parsed; names file and line.
    """
    if source.startswith("hf:"):
        return hub.rows(source)
    path = Path(source)
    if not path.is_file():
        raise DataError(
            "no such file",
            file=source,
            expected="a .jsonl, .json or .csv file (.gz too), or hf:NAME",
        )
    suffix = path.suffixes[-2] if path.suffix == ".gz" and len(path.suffixes) > 1 else path.suffix
    if suffix == ".csv":
        return _csv(path)
    if suffix == ".json":
        return _json(path)
    if suffix == ".jsonl":
        return _jsonl(_lines(path), source)
    raise DataError(f"unknown suffix {suffix!r}", file=source, expected=".jsonl, .json or .csv")


def _lines(path: Path) -> Iterator[str]:
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        # "-sig": spreadsheet programs put a byte order mark in front, which is no part of a field.
        with opener(path, "rt", encoding="utf-8-sig") as stream:
            yield from cast(Iterable[str], stream)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(f"cannot be read: {error}", file=path, expected="UTF-8 text") from error


def _jsonl(lines: Iterable[str] | str, file: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(io.StringIO(lines) if isinstance(lines, str) else lines, 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(
                    f"not JSON: {error.msg}", file=file, line=number, expected="one object a line"
                ) from error


def _json(path: Path) -> Iterator[tuple[int, Any]]:
    text = "".join(_lines(path))
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"not JSON: {error.msg}", file=path, line=error.lineno) from error
    if not isinstance(rows, list):
        raise DataError("not a list", file=path, expected="a JSON list of rows")
    yield from enumerate(rows, 1)


def _csv(path: Path) -> Iterator[tuple[int, Any]]:
    reader = csv.DictReader(_lines(path))
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        # The reader counts a line once it is whole.
        line = reader.line_num + 1
        raise DataError(f"not CSV: {error}", file=path, line=line) from error
