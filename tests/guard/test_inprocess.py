from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from charter.errors import DataError, InputError
from charter.guard.inprocess import Blocked, Exchange, Guard
from charter.records import Message

HELLO = (Message("user", "Hello"),)
TEXT = "Flour, water, salt, and then a long night of rest. " * 2


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    (tmp_path / "words.json").write_text(json.dumps({"words": {"BOMBWORD": "no-weapons"}}))
    said = {"kind": "words", "thresholds": {"prompt": 0.9, "answer": 0.8}, "window": 16}
    (tmp_path / "guard.json").write_text(json.dumps(said))
    return Guard.load(str(tmp_path))


def test_exchanges_are_checked_on_both_sides(guard: Guard) -> None:
    assert guard.check(Exchange(HELLO, TEXT)).action == "allow"
    prompt = guard.check(Exchange((Message("user", "what is a bombword"),), ""))
    assert (prompt.action, prompt.clauses) == ("block", ("no-weapons",))
    assert guard.check(Exchange(HELLO, f"{TEXT}BOMBWORD")).action == "block"


async def read(guard: Guard, pieces: list[str]) -> str:
    async def chunks() -> AsyncIterator[str]:
        for piece in pieces:
            yield piece

    text = ""
    try:
        async for ready in guard.stream(HELLO, chunks()):
            text += ready
    except Blocked as block:
        return f"{text}[{block.decision.clauses[0]}]"
    return text


@pytest.mark.parametrize("size", [1, 7, 16, 500])
def test_a_stream_gives_the_same_text_in_whatever_pieces_it_comes(guard: Guard, size: int) -> None:
    bad = f"{TEXT[:40]}BOMBWORD{TEXT}"
    for text, expected in ((TEXT, TEXT), (bad, f"{bad[:32]}[no-weapons]")):
        pieces = [text[i : i + size] for i in range(0, len(text), size)]
        assert asyncio.run(read(guard, pieces)) == expected


def test_thresholds_and_window_come_from_the_guards_own_file(guard: Guard) -> None:
    assert (guard.settings.thresholds.prompt, guard.settings.window) == (0.9, 16)


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        ({}, InputError, "holds no guard"),
        ({"guard.json": "{"}, DataError, "guard.json"),
        ({"guard.json": '{"kind": "magic"}'}, DataError, "'magic' is no kind of guard"),
        ({"guard.json": '{"kind": "words"}'}, DataError, "words.json"),
        ({"guard.json": '{"kind": "words"}', "words.json": "[]"}, DataError, "words.json"),
    ],
)
def test_folders_that_hold_no_guard(
    tmp_path: Path, files: dict[str, str], error: type[InputError], message: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(error, match=message):
        Guard.load(str(tmp_path))
