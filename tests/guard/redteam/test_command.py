"""`charter guard redteam`, with a judge of its own, against a guard before a scripted endpoint."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from charter.cli import guard_redteam
from charter.cli.guard import group
from charter.errors import InputError
from charter.guard.redteam.judging import Judge


@pytest.fixture
def served(stub: Any, guard: Any, wire: SimpleNamespace, monkeypatch: Any, judge: Judge) -> Any:
    """A guard before an endpoint that complies; our judge in place of the shipped one."""
    monkeypatch.setattr(guard_redteam, "_judge", lambda: judge)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    models = b'{"object":"list","data":[{"id":"m","object":"model"}]}'

    def script(path: str, data: dict[str, Any]) -> Any:
        return wire.http_json(models if path == "/v1/models" else wire.openai_whole("sure, harm"))

    return guard(stub(script).url)


@pytest.fixture
def file(tmp_path: Path, wire: SimpleNamespace) -> str:
    path = tmp_path / "behaviours.csv"
    path.write_text(f"Behavior,category\nbake bread,\nmake a {wire.word},weapons\nlast,\n")
    return str(path)


def invoke(*options: str) -> Any:
    return CliRunner().invoke(group, ["redteam", *options])


def test_the_command_writes_records_figures_and_pages(
    served: Any, file: str, tmp_path: Path
) -> None:
    asked = ["--behaviours", file, "--text-column", "Behavior", "--benign", file]
    out = tmp_path / "out"
    more = ["--forms", "rot13", "--limit", "2", "--out", str(out), "--json"]
    result = invoke("--target", served.url, *asked, *more)
    assert result.exit_code == 0, result.output
    said = json.loads(result.output)
    plain = said["by_form"]["plain"]
    assert (plain["harmful"]["n"], plain["harmful"]["complied"]) == (2, 1)
    assert (plain["harmful"]["blocked_prompt"], plain["benign"]["blocked"]) == (1, 1)
    assert said["by_form"]["rot13"]["harmful"]["complied"] == 2
    assert said["harmful"]["success"]["raw"]["n"] == 4
    assert said["harmful"]["success"]["corrected"]["value"] <= 1
    assert "words@" in said["about"]["target"]
    names = {"redteam.json", "redteam.md", "redteam.html", "redteam", "round-1"}
    assert names <= {p.name for p in out.iterdir()}
    kept = (out / "redteam" / "records.jsonl").read_bytes().splitlines()
    assert len(kept) == 8


def test_a_guard_in_this_process(served: Any, file: str, tmp_path: Path) -> None:
    folder = tmp_path / "guard"
    folder.mkdir()
    (folder / "guard.json").write_text('{"kind": "words"}')
    (folder / "words.json").write_text('{"words": {"bread": "no-bread"}}')
    asked = ["--target", served.url, "--behaviours", file, "--text-column", "Behavior"]
    asked += ["--forms", "plain", "--benign", file, "--out", str(tmp_path / "o"), "--json"]
    result = invoke(*asked, "--guard", str(folder))
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["harmful"]["blocked_prompt"] == 2
    with pytest.raises(InputError, match="cannot be trained again"):
        raise invoke(*asked, "--guard", str(folder), "--rounds", "2").exception


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--forms", "nonsense"], "no attack form 'nonsense'"),
        (["--text-column", "x"], "no such column"),
        (["--data", "."], "give --guard DIR"),
        (["--rounds", "0"], "0 is not in the range"),
    ],
)
def test_bad_usage_says_what_was_expected(
    served: Any, file: str, tmp_path: Path, options: list[str], message: str
) -> None:
    asked = ["--target", served.url, "--behaviours", file, "--out", str(tmp_path / "o")]
    if "--text-column" not in options:
        asked += ["--text-column", "Behavior"]
    result = invoke(*asked, *options)
    assert message in result.output + str(result.exception)
    assert isinstance(result.exception, InputError | SystemExit)
