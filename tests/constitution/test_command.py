"""`charter constitution lint | diff | schema`: exit codes and what is printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from charter.cli.constitution import group
from charter.constitution import schema

TEXT = """\
format: charter/constitution/1
name: small
version: "1"
principles:
  - id: kind
    title: Be kind
    text: The assistant does not refuse to be [bold]kind[/].
    critique_request: Say where it is unkind.
    revision_request: Make it kind.
    comparison_question: Which is kinder?
"""


@pytest.fixture
def doc(tmp_path: Path) -> Path:
    (tmp_path / "a.yaml").write_text(TEXT)
    (tmp_path / "b.yaml").write_text(TEXT.replace("Which is kinder?", "Which is more kind?"))
    (tmp_path / "bad.yaml").write_text(TEXT.replace("id: kind", "id: Kind"))
    return tmp_path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(group, [str(argument) for argument in arguments])


def as_json(result: Result) -> Any:
    return json.loads(result.output)


def test_lint_gives_advice_and_exits_0(doc: Path) -> None:
    found = call("lint", doc / "a.yaml")
    assert found.exit_code == 0
    assert f"{doc / 'a.yaml'}:5: advice double-negation: kind:" in found.output
    assert "0 errors, 1 pieces of advice" in found.output


def test_lint_as_json_has_every_field(doc: Path) -> None:
    found = as_json(call("lint", doc / "a.yaml", "--json"))
    assert (found["errors"], found["advice"]) == (0, 1)
    [finding] = found["findings"]
    fields = ["code", "severity", "file", "line", "principle", "message", "evidence"]
    assert list(finding) == fields


def test_lint_exits_2_on_an_error_and_still_lists_it(doc: Path) -> None:
    assert call("lint", doc / "bad.yaml").exit_code == 2
    found = call("lint", doc / "bad.yaml", "--json")
    assert found.exit_code == 2
    assert as_json(found)["findings"][0]["code"] == "id"


def test_lint_takes_a_run(doc: Path) -> None:
    (doc / "critique").mkdir()
    (doc / "critique" / "records.jsonl").write_text("")
    found = as_json(call("lint", doc / "a.yaml", "--run", doc, "--json"))
    assert [f["code"] for f in found["findings"]] == ["double-negation", "unused-principle"]


def test_diff_shows_the_words(doc: Path) -> None:
    found = call("diff", doc / "a.yaml", doc / "b.yaml")
    assert found.exit_code == 0
    assert "comparison_question: Which is {-kinder-}{+more kind+}?" in found.output
    assert "1 principles changed, 0 did not" in found.output


def test_text_of_a_clause_is_not_read_as_markup(doc: Path) -> None:
    (doc / "c.yaml").write_text(TEXT.replace("[bold]kind[/]", "[red]kind[/]"))
    found = call("diff", doc / "a.yaml", doc / "c.yaml")
    assert "[{-bold-}{+red+}]kind[/]" in found.output


def test_diff_with_a_run_says_what_depends_on_it(doc: Path) -> None:
    (doc / "critique").mkdir()
    record = {"id": "x", "steps": [{"principle": "kind"}]}
    (doc / "critique" / "records.jsonl").write_text(json.dumps(record) + "\n")
    found = as_json(call("diff", doc / "a.yaml", doc / "b.yaml", "--run", doc, "--json"))
    assert found["principles"][0]["kinds"] == ["reworded"]
    assert found["run"]["chains"] == [0, 1]
    assert "relabel_cost" not in found
    shown = call("diff", doc / "a.yaml", doc / "b.yaml", "--run", doc)
    assert "depend on the change: 0 of 1 chains" in shown.output


def test_relabel_without_a_run_is_bad_usage(doc: Path) -> None:
    found = call("diff", doc / "a.yaml", doc / "b.yaml", "--relabel")
    assert found.exit_code == 2
    assert "--relabel needs --run" in found.output


def test_the_schema_is_printed() -> None:
    assert call("schema").output == schema.text()
