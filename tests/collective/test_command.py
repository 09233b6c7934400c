"""`charter collect` as people call it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from charter.cli import main as cli
from charter.collective.conversation import read_folder
from charter.constitution import document

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Call:
    def called(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", ["charter", "collect", *map(str, arguments)])
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return called


@pytest.fixture
def export(
    tmp_path: Path,
    electorate: Callable[..., Any],
    write_rows: Callable[[Path, Iterable[list[object]]], Path],
) -> Path:
    """A folder such as Polis exports, gzipped."""
    folder = tmp_path / "planted"
    folder.mkdir()
    conversation = electorate().conversation
    cells = conversation.matrix.votes.tocoo()
    log = zip(cells.col.tolist(), cells.row.tolist(), cells.data.tolist(), strict=True)
    header: list[object] = ["comment-id", "voter-id", "vote"]
    write_rows(folder / "votes.csv.gz", [header, *map(list, log)])
    texts = [[i, text] for i, text in enumerate(conversation.texts)]
    write_rows(folder / "comments.csv.gz", [["comment-id", "comment-body"], *texts])
    return folder


def test_json_has_the_agreed_fields(call: Call, export: Path) -> None:
    code, out, err = call(export, "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert sum(found["groups"]) == 400
    first = found["statements"][0]
    assert {"id", "text", "gac", "by_group"} <= set(first)
    product = 1.0
    for votes in first["by_group"]:
        product *= (votes["agree"] + 1) / (votes["seen"] + 2)
    assert first["gac"] == pytest.approx(product)
    assert len(first["by_group"]) == len(found["groups"])
    gacs = [statement["gac"] for statement in found["statements"]]
    assert gacs == sorted(gacs, reverse=True)


def test_the_draft_is_a_constitution_that_loads(call: Call, export: Path, tmp_path: Path) -> None:
    code, out, _ = call(export, "--threshold", "0.8", "--groups", "3", "--out", tmp_path / "here")
    assert code == 0
    assert "5 of 60 statements reach 0.8" in out
    drafted = document.load(tmp_path / "here" / "draft.yaml")
    assert {p.id for p in drafted.principles} == {f"statement-{i}" for i in range(5)}


def test_files_can_be_named_one_by_one(call: Call, export: Path) -> None:
    votes, comments = export / "votes.csv.gz", export / "comments.csv.gz"
    by_folder = json.loads(call(export, "--json")[1])
    by_files = json.loads(call("--votes", votes, "--comments", comments, "--json")[1])
    assert by_files["statements"] == by_folder["statements"]
    assert by_files["digest"] == by_folder["digest"]


def test_without_out_it_goes_to_a_folder_of_that_name(
    call: Call, export: Path, tmp_path: Path
) -> None:
    call(export, "--json")
    assert (tmp_path / "collected" / "planted" / "report.html").is_file()


def test_real_conversations(call: Call, polis: Path) -> None:
    code, out, _ = call(polis, "--json", "--seed", "1")
    found = json.loads(out)
    assert code == 0
    assert len(found["statements"]) == len(read_folder(polis).texts)


@pytest.mark.parametrize(
    "arguments",
    [(), ("--votes", "votes.csv"), ("nowhere",), ("--threshold", "2", "."), ("--groups", "9", ".")],
)
def test_wrong_use_is_said_with_exit_code_2(
    call: Call, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "votes.csv").write_text("")
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert "Error:" in err


def test_a_wrong_file_is_one_line_with_exit_code_2(call: Call, export: Path) -> None:
    (export / "votes.csv").write_text("comment-id,voter-id,vote\n0,0,1\n0,1,7\n")
    code, _, err = call(export)
    assert code == 2
    assert err.endswith(
        "votes.csv:3: field 'vote': vote 7 (expected 1 (agree), -1 (disagree) or 0 (pass))\n"
    )
    assert len(err.splitlines()) == 1
