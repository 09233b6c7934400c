"""Lint lists every error, and puts each finding where the clause stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from charter.constitution import document
from charter.constitution.findings import Finding
from charter.constitution.lint import count, lint
from charter.constitution.markdown import to_markdown
from charter.errors import DocumentError

GOOD = """\
format: charter/constitution/1
name: small
version: "1"
principles:
  - id: kind
    title: Be kind
    text: The assistant does not refuse to be kind.
    critique_request: Say where it is unkind.
    revision_request: Make it kind.
    comparison_question: Which is kinder?
  - id: honest
    title: Be honest
    text: The assistant is honest.
    critique_request: Say where it misleads.
    revision_request: Make it honest.
    comparison_question: Which is more honest?
"""


def found(tmp_path: Path, text: str, name: str = "c.yaml") -> list[Finding]:
    (tmp_path / name).write_text(text)
    return lint(tmp_path / name)


def test_advice_stands_at_its_clause(tmp_path: Path) -> None:
    [advice] = found(tmp_path, GOOD)
    assert (advice.code, advice.severity, advice.principle) == ("double-negation", "advice", "kind")
    assert (advice.file, advice.line) == (str(tmp_path / "c.yaml"), 5)
    assert count([advice]) == {"errors": 0, "advice": 1}


def test_advice_on_a_page_stands_at_its_heading(tmp_path: Path) -> None:
    page = to_markdown(document.parse(GOOD))
    [advice] = found(tmp_path, page, "c.md")
    assert page.split("\n")[advice.line - 1] == "### Be kind {#kind}"


def test_every_error_is_listed_with_its_line(tmp_path: Path) -> None:
    broken = (
        GOOD.replace("title: Be kind", "titel: Be kind")
        .replace("    comparison_question: Which is more honest?\n", "")
        .replace('version: "1"', "version: 1")
    )
    listed = [(f.code, f.line, f.principle) for f in found(tmp_path, broken)]
    assert listed == [
        ("schema", 5, "kind"),
        ("missing-form", 11, "honest"),
        ("schema", 3, ""),
    ]


def test_problems_across_fields_are_all_listed(tmp_path: Path) -> None:
    broken = GOOD + "    over: [kind, nobody]\n    weight: 0\n"
    broken = broken.replace("    title: Be kind", "    over: [honest]\n    title: Be kind")
    listed = [(f.code, f.line, f.principle, f.severity) for f in found(tmp_path, broken)]
    assert listed == [
        ("weight", 19, "honest", "error"),
        ("reference", 18, "honest", "error"),
        ("priority-cycle", 6, "kind", "error"),
    ]


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("a: [", "syntax", 1),
        ("format: charter/overlay/1\nname: x\nversion: '1'\nbase: gone.yaml\n", "overlay", 4),
        ("format: charter/constitution/1\n", "schema", 1),
        (GOOD + "principles: 3\n", "syntax", 17),
        (GOOD + "categories: 3\n", "schema", 17),
    ],
)
def test_what_cannot_be_taken_apart_is_one_error(
    tmp_path: Path, text: str, code: str, line: int
) -> None:
    [only] = found(tmp_path, text)
    assert (only.code, only.line, only.severity) == (code, line, "error")


def test_a_file_that_is_not_there_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="cannot be read"):
        lint(tmp_path / "gone.yaml")


def test_advice_on_an_overlay_stands_in_the_file_of_the_clause(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(GOOD)
    overlay = "format: charter/overlay/1\nname: x\nversion: '1'\nbase: base.yaml\n"
    first, second = found(tmp_path, overlay + "drop: [{id: honest, reason: r}]\n", "o.yaml")
    assert (first.code, Path(first.file).name) == ("dropped-clause", "o.yaml")
    assert (second.code, Path(second.file).name, second.line) == ("double-negation", "base.yaml", 5)
