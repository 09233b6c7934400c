"""Hostile YAML is refused at once, with its line."""

from __future__ import annotations

import time

import pytest

from charter import yaml_tree
from charter.errors import DocumentError


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: 1\nb: " + "[" * 5000, 2, "nested too deeply"),
        ("a: 1\nb: " + "{x: [" * 3000 + "]}" * 3000, 2, "nested too deeply"),
        ("a: !!int critique\n", 1, "not valid YAML: ValueError"),
        ("a: 1\nb: \x00\n", 2, "special characters"),
        ("a: 1\n  b: 2\n", 2, "not valid YAML"),
    ],
)
def test_a_text_that_cannot_be_read_names_its_line(text: str, line: int, says: str) -> None:
    start = time.monotonic()
    with pytest.raises(DocumentError, match=says) as caught:
        yaml_tree.parse(text, file="c.yaml", kind=DocumentError)
    assert (caught.value.file, caught.value.line) == ("c.yaml", line)
    assert time.monotonic() - start < 10


def test_brackets_in_sentences_are_no_nesting() -> None:
    tree = yaml_tree.parse("a: " + "word [x] (y) {z} " * 500, file="c", kind=DocumentError)
    assert tree["a"].startswith("word [x]")
