"""The documents on the pages are valid, and lint says of them what the pages say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from charter.constitution.lint import lint

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"```(yaml|markdown)\n(.*?)```", re.DOTALL)


def codes(text: str, form: str, folder: Path) -> list[str]:
    file = folder / ("c.md" if form == "markdown" else "c.yaml")
    file.write_text(text)
    return [finding.code for finding in lint(file)]


@pytest.mark.parametrize("page", ["constitution.md", "writing-a-constitution.md"])
def test_every_document_on_a_page_is_valid(page: str, tmp_path: Path) -> None:
    blocks = BLOCK.findall((DOCS / page).read_text())
    assert len(blocks) >= 2
    for form, text in blocks:
        found = codes(text, form, tmp_path)
        assert not {"syntax", "schema", "overlay"} & set(found), found


def test_the_worked_example_gets_the_advice_that_is_shown(tmp_path: Path) -> None:
    page = (DOCS / "writing-a-constitution.md").read_text()
    first, second = (codes(text, form, tmp_path) for form, text in BLOCK.findall(page))
    assert first == re.findall(r"^help-desk\.yaml:\d+: advice ([\w-]+):", page, re.MULTILINE)
    assert second == []
