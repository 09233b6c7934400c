"""Damaged documents: an error with file and line, or a document; never anything else."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from charter.constitution import document
from charter.constitution.markdown import to_markdown
from charter.errors import DocumentError
from charter.seeds import draws

SEED_TEXT = """\
format: charter/constitution/1
name: small
version: "1"
levels: [law, taste]
principles:
  - id: kind
    title: Be kind
    text: |
      The assistant is kind.

      - also on Mondays
    critique_request: Say where it is unkind.
    revision_request: 'Make it kind.'
    comparison_question: "Which is kinder?"
    weight: 2
    tags: [manner]
    over: [honest]
    examples: [{prompt: Am I a fool?, good: No.}]
  - id: honest
    title: Be honest
    text: The assistant is honest.
    critique_request: Say where it misleads.
    revision_request: Make it honest.
    comparison_question: Which is more honest?
    level: law
    span: [3, 9]
categories:
  harmful:
    - {id: insult, title: Insults, text: Demeaning someone., principles: [kind]}
terms: {kind: well-meaning}
changelog: [{version: "1", note: First.}]
"""
OVERLAY = """\
format: charter/overlay/1
name: mine
version: "1"
base: small.yaml
exempt: [{id: honest, exceptions: [riddles]}]
strengthen: [{id: honest, weight: 3}]
drop: [{id: kind, reason: "no"}]
replace: [{id: honest, of: "1", reason: r, text: Short.}]
"""
WORDS = """
# { } [ ] &a *a !! !!binary !!int !!timestamp ? : | > " ' \\ % --- ... .nan 1e999 0x 1_0 ~ <<: @ `
null !!set !!omap !!python/object:x 12:99:99 2020-99-99 = {#a} ### - ** \\ud800 "\\ud800" "\\0"
"""
PARTS = ["\0", "\t", "\n", "\n\n", "  ", "\u2028", "\ufeff", "9" * 400, "[" * 1500, "<<: *a\n"]
FIELDS = ["&a [*a]", "- **Weight:** x\n", "- **Good answer:** y\n", "format: charter/overlay/1\n"]
FRAGMENTS = [*WORDS.split(), *PARTS, *FIELDS]
FORMS = {
    "yaml": SEED_TEXT,
    "md": to_markdown(document.parse(SEED_TEXT)),
    "overlay.yaml": OVERLAY,
}


def mutated(text: str, source: Random) -> str:
    """The text after one to four edits."""
    for _ in range(source.randint(1, 4)):
        start = source.randrange(len(text) + 1)
        end = min(len(text), start + source.randint(1, 30))
        kind = source.randrange(5)
        if kind == 0:
            text = text[:start] + source.choice(FRAGMENTS) + text[start:]
        elif kind == 1:
            text = text[:start] + text[end:]
        elif kind == 2:
            text = text[:end] + text[start:end] + text[end:]
        elif kind == 3:
            lines = text.split("\n")
            a, b = source.randrange(len(lines)), source.randrange(len(lines))
            lines[a], lines[b] = lines[b], lines[a]
            text = "\n".join(lines)
        else:
            text = text[:start] + chr(source.randrange(0x11000)) + text[start:]
    return text


def check(count: int, folder: Path) -> None:
    (folder / "small.yaml").write_text(SEED_TEXT)
    valid = 0
    for number in range(count):
        form = sorted(FORMS)[number % len(FORMS)]
        text = mutated(FORMS[form], draws("fuzz", number))
        try:
            found = document.parse(text, file=str(folder / f"c.{form}"), markdown=form == "md")
        except DocumentError as error:
            assert error.file is not None and error.line is not None, (number, str(error))
            assert 1 <= error.line <= text.count("\n") + 2, (number, str(error))
            continue
        valid += 1
        assert document.normal(found).digest == found.digest
    # Some edits do no harm, most do; were it all one or the other, little would be tested.
    assert 0 < valid < count / 2


def test_damaged_documents_give_errors_with_file_and_line(tmp_path: Path) -> None:
    check(150, tmp_path)


@pytest.mark.exhaustive
def test_ten_thousand_damaged_documents(tmp_path: Path) -> None:
    check(10_000, tmp_path)
