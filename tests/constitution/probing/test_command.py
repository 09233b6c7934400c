"""`charter constitution probe` as people call it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from charter.cli import main as cli


def called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str | Path
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["charter", "constitution", "probe", *map(str, arguments)])
    try:
        cli.main()
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    return code, *capsys.readouterr()


def test_the_file_is_written_and_a_review_stays(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "new" / "doc.probes.jsonl"
    arguments = ("default", "--out", out, "--per-principle", "2", "--json")
    code, shown, _ = called(monkeypatch, capsys, *arguments)
    assert code == 0
    assert json.loads(shown)["made"] == json.loads(shown)["probes"] == 19 * 4
    lines = out.read_text(encoding="utf-8").splitlines()
    assert all(json.loads(line)["reviewed"] is False for line in lines)
    lines[0] = lines[0].replace('"reviewed":false', '"reviewed":true')
    out.write_text("\n".join([*lines, ""]), encoding="utf-8")
    again = json.loads(called(monkeypatch, capsys, *arguments)[1])
    assert (again["kept"], again["reviewed"], again["probes"]) == (1, 1, 19 * 4)
    assert out.read_text(encoding="utf-8").splitlines() == lines


def test_another_file_is_not_overwritten(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "notes.txt"
    out.write_text("my notes\n", encoding="utf-8")
    code, _, err = called(monkeypatch, capsys, "default", "--out", out)
    assert code == 2
    assert "notes.txt:1:" in err
    assert out.read_text(encoding="utf-8") == "my notes\n"
