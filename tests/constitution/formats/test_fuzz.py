"""Damaged files of every format: an error with file and line, or a document; nothing else."""

from __future__ import annotations

from random import Random

import pytest

from charter.constitution.formats.exporting import export
from charter.constitution.formats.given import decoded
from charter.constitution.formats.importing import import_text
from charter.errors import DocumentError
from charter.seeds import draws

WORDS = rb"""
{ } [ ] " ' : , # ## ~~~ ``` {# {#a} {#a.b authority=x} authority= --- - * 1. \ &a *a !!int
<comparison> </assistant> <!-- !!! **Example** [^x] null 1e999 NaN true -1 \ud800 format:
"""
BYTES = b"\xff \xc3 \x00 \x1b \r \xe2\x80\xa8 \xef\xbb\xbf \xf0\x9f\x98\x80 \n \n\n \t".split(b" ")
LONG = [b"9" * 5000, b"[" * 2000, b'{"a":' * 1500, b"`" * 50]
JUNK = [*WORDS.split(), *BYTES, *LONG]


def damaged(blob: bytes, source: Random) -> bytes:
    """The bytes after one to three edits."""
    for _ in range(source.randint(1, 3)):
        start = source.randrange(len(blob) + 1)
        end = start + source.randint(1, 40)
        edit = source.randrange(4)
        if edit == 0:
            blob = blob[:start] + source.choice(JUNK) + blob[start:]
        elif edit == 1:
            blob = blob[:start] + blob[end:]
        elif edit == 2:
            at = source.randrange(len(blob) + 1)
            blob = blob[:at] + blob[start:end] + blob[at:]
        else:
            blob = blob[:start] + source.choice(JUNK) + blob[end:]
    return blob


def check(files: dict[str, str], count: int) -> None:
    names, valid = sorted(files), 0
    for number in range(count):
        name, source = names[number % len(names)], draws("formats", number)
        blob = damaged(files[name].encode(), source)
        forced = source.choice([None, name, source.choice(names)])
        try:
            given = decoded("damaged", blob)
            document = import_text(given, forced).document
        except DocumentError as error:
            assert str(error.file) == "damaged" and error.line is not None, (number, str(error))
            assert 1 <= error.line <= blob.count(b"\n") + 2, (number, str(error))
            continue
        valid += 1
        for p in document.principles:
            inside = p.span is None or forced == "proposals" or p.span[1] <= len(given.text)
            assert inside or name == "proposals", (number, p.span)
        for target in ("markdown", "html", "system-prompt", "json"):
            assert export(document, target).text, (number, target)
    # Some edits do no harm, some do; were it all one or the other, little would be tested.
    assert count / 10 < valid < count * 9 / 10


def test_damaged_files_give_errors_with_file_and_line(files: dict[str, str]) -> None:
    check(files, 1_500)


@pytest.mark.exhaustive
def test_ten_thousand_damaged_files(files: dict[str, str]) -> None:
    check(files, 10_000)
