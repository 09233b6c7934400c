"""Formats out: what other tools find in the files, and what comes back unharmed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import msgspec
import pytest
from click.testing import CliRunner
from trl.data_utils import is_conversational

from charter import feedback, sft
from charter.cli import export as cli_export
from charter.constitution.document import Constitution, Principle
from charter.errors import DataError, StoreError
from charter.formats import rows
from charter.formats.annotated_pairs import read
from charter.formats.export import DEMONSTRATIONS, FORMATS, LABELS, Exported, export
from charter.formats.labels_as_pairs import labels
from charter.records import (
    Abstention,
    Comparison,
    Demonstration,
    Labelled,
    Message,
    Origin,
    PrincipleVote,
    Prompt,
    Sampling,
    Verdict,
)
from charter.store import RunFolder

CONSTITUTION = Constitution(
    "charter/constitution/1",
    "test",
    "1.2",
    (
        Principle("calm", "Calm", "t", "c", "r", "Which is calmer?"),
        Principle("fair", "Fair", "t", "c", "r", "Which is fairer?"),
    ),
)
ORIGIN = Origin("pairs", "policy@1", sampling=Sampling(max_tokens=7), seed=3)


def record(name: str, p: float | None, *, messages: Sequence[Message] = ()) -> Labelled:
    prompt = Prompt(name, tuple(messages) or (Message("user", f"ask {name}"),), "redteam", "cat")
    comparison = Comparison(f"{name}/pair0", prompt, f"A {name}", f"B {name}", ORIGIN)
    if p is None:
        return Labelled(comparison, Abstention(comparison.id, "off_menu", "judge@1", "P = 0"))
    votes = (PrincipleVote("calm", p, p, 2.0), PrincipleVote("gone", p, p))
    return Labelled(comparison, Verdict(comparison.id, p, votes, "judge@1", 12))


TURNS = (Message("system", "Be kind."), Message("user", "1"), Message("assistant", "2"))
RECORDS = [
    record("first", 0.9),
    record("second", 0.2, messages=(*TURNS, Message("user", "3"))),
    record("tie", 0.5),
    record("silent", None),
]
IMITATED = Demonstration(
    "first/critique#0",
    RECORDS[0].comparison.prompt,
    "Better.",
    "revision",
    "first/critique",
    ORIGIN,
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return finished(tmp_path / "demo", RECORDS)


def finished(path: Path, records: Sequence[Labelled]) -> Path:
    folder = RunFolder(path)
    (path / "constitution.json").write_bytes(msgspec.json.encode(CONSTITUTION))
    stage = folder.stage("feedback", "asked")
    stage.log(Labelled).append(records)
    stage.finish(1.0, {"statistics": {"judge": "judge@1"}})
    stage = folder.stage("sft_data", "asked")
    stage.log(Demonstration).append([IMITATED])
    stage.finish(1.0)
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_stages_are_those_of_the_loop() -> None:
    assert (LABELS, DEMONSTRATIONS) == (feedback.STAGE, sft.DATA_STAGE)
    assert cli_export._FORMATS == FORMATS


def test_trl_rows_are_conversational_preferences_with_p(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "pairs.jsonl"
    assert export(run, "trl", out) == Exported("trl", str(out), 3, 1, {"off_menu": 1})
    first, second, tie = lines(out)
    assert first["prompt"] == [{"role": "user", "content": "ask first"}]
    assert first["chosen"] == [{"role": "assistant", "content": "A first"}]
    assert first["rejected"] == [{"role": "assistant", "content": "B first"}]
    assert (first["p"], first["tie"]) == (0.9, False)
    assert second["chosen"] == [{"role": "assistant", "content": "B second"}]
    assert (second["p"], second["tie"]) == (0.8, False)
    assert [m["role"] for m in second["prompt"]] == ["system", "user", "assistant", "user"]
    assert (tie["p"], tie["tie"]) == (0.5, True)
    assert all(is_conversational(row) for row in (first, second, tie))
    assert [rows.labelled(row) for row in (first, second, tie)] == RECORDS[:3]


def test_trl_loads_the_file_without_a_schema(run: Path, tmp_path: Path) -> None:
    export(run, "trl", tmp_path / "pairs.jsonl")
    data = datasets.Dataset.from_json(
        str(tmp_path / "pairs.jsonl"), cache_dir=str(tmp_path / "cache")
    )
    assert data["p"][:] == [0.9, 0.8, 0.5]
    assert [rows.labelled(row) for row in data] == RECORDS[:3]


def test_the_hf_folder_loads_and_holds_the_same_rows(
    run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "data"
    assert export(run, "hf", out) == Exported("hf", str(out), 3, 1, {"off_menu": 1})
    assert capfd.readouterr() == ("", "")
    data = datasets.load_from_disk(str(out))
    assert data.features["p"].dtype == "float64" and data.features["tie"].dtype == "bool"
    assert [rows.labelled(row) for row in data] == RECORDS[:3]
    assert list(data)[1] == rows.preference(RECORDS[1])
    assert [p.name for p in out.parent.iterdir()] == ["data"]


def test_an_hf_folder_in_use_is_not_written_over(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(DataError, match="exists already"):
        export(run, "hf", tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    def tree(folder: Path) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

    for format in FORMATS:
        for n in (1, 2):
            (tmp_path / f"{format}{n}").mkdir()
            export(run, format, tmp_path / f"{format}{n}" / "out")
        assert tree(tmp_path / f"{format}1") == tree(tmp_path / f"{format}2"), format


def test_openrlhf_gets_no_ties_and_only_columns_that_do_no_harm(run: Path, tmp_path: Path) -> None:
    found = export(run, "openrlhf", tmp_path / "o.jsonl")
    assert (found.rows, found.ties, found.left_out) == (2, 0, {"off_menu": 1, "tie": 1})
    first, second = lines(tmp_path / "o.jsonl")
    assert set(first) == {"prompt", "chosen", "rejected", "p", "id"}
    # What its loader does with a chat template: the lists are put together.
    assert [m["content"] for m in first["prompt"] + first["chosen"]] == ["ask first", "A first"]
    assert second["prompt"][0]["role"] == "system"


@pytest.mark.parametrize("name", ["v.parquet", "v.jsonl"])
def test_verl_gets_prompts_with_its_five_fields(run: Path, tmp_path: Path, name: str) -> None:
    found = export(run, "verl", tmp_path / name)
    assert (found.rows, found.ties) == (3, 1)
    load: Callable[..., Any] = (
        datasets.Dataset.from_parquet if name == "v.parquet" else datasets.Dataset.from_json
    )
    first, second, tie = load(str(tmp_path / name), cache_dir=str(tmp_path / "cache"))
    assert set(first) == {"data_source", "prompt", "ability", "reward_model", "extra_info"}
    assert first["prompt"] == [{"role": "user", "content": "ask first"}]
    assert first["reward_model"] == {"style": "model", "ground_truth": "A first"}
    assert first["extra_info"]["index"] == 0 and second["extra_info"]["index"] == 1
    assert second["extra_info"]["p"] == 0.8 and second["extra_info"]["chosen"] == "B second"
    assert tie["extra_info"]["tie"] is True and tie["reward_model"]["ground_truth"] == ""


def test_icai_has_the_verdict_first_and_an_annotator_a_principle(run: Path, tmp_path: Path) -> None:
    found = export(run, "icai", tmp_path / "pairs.json")
    assert (found.rows, found.ties, found.left_out) == (3, 1, {"off_menu": 1})
    tree = json.loads((tmp_path / "pairs.json").read_text())
    assert tree["metadata"]["version"] == "2.0"
    default = tree["metadata"]["default_annotator"]
    by_name = {a["name"]: id for id, a in tree["annotators"].items()}
    assert list(by_name) == ["charter verdict", "calm", "fair"]
    assert "judge@1" in tree["annotators"][default]["description"]
    assert tree["annotators"][by_name["calm"]]["description"] == "Which is calmer?"
    assert tree["annotators"][by_name["calm"]]["type"] == "principle"
    first, second, tie = tree["comparisons"]
    assert first["prompt"] == "ask first"
    assert first["response_a"] == {"text": "A first", "model": "policy@1"}
    assert first["annotations"][default]["pref"] == "a"
    assert second["annotations"][by_name["calm"]]["pref"] == "b"
    assert by_name["fair"] not in second["annotations"]
    assert tie["annotations"][default]["pref"] is None
    assert tie["annotations"][default]["no_pref_reason"] == "tie"
    assert second["prompt"].startswith("System: Be kind.\n\nHuman: 1\n\nAssistant: 2")
    # Feedback Forensics lays both side by side in one table.
    assert all(not set(one) & set(one["metadata"]) for one in tree["comparisons"])
    assert list(labels(read(tmp_path / "pairs.json"))) == RECORDS[:3]


def test_demonstrations_are_messages(run: Path, tmp_path: Path) -> None:
    found = export(run, "sft", tmp_path / "sft.jsonl")
    assert (found.rows, found.left_out) == (1, {})
    [row] = lines(tmp_path / "sft.jsonl")
    assert row["messages"] == [
        {"role": "user", "content": "ask first"},
        {"role": "assistant", "content": "Better."},
    ]
    assert (row["id"], row["source"], row["chain"]) == (
        "first/critique#0", "revision", "first/critique",
    )  # fmt: skip
    assert is_conversational(row)


@pytest.mark.parametrize("format", FORMATS)
def test_what_has_not_finished_is_not_exported(run: Path, tmp_path: Path, format: str) -> None:
    stage = "sft_data" if format == "sft" else "feedback"
    (run / stage / "manifest.json").unlink()
    with pytest.raises(DataError, match=f"a run folder in which stage '{stage}' has finished"):
        export(run, format, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format", ["trl", "hf", "icai"])
def test_a_damaged_record_leaves_nothing_behind(run: Path, tmp_path: Path, format: str) -> None:
    with (run / "feedback" / "records.jsonl").open("a") as stream:
        stream.write("{}\n")
    (tmp_path / "here").mkdir()
    with pytest.raises(StoreError, match=r"records.jsonl:5: damaged record"):
        export(run, format, tmp_path / "here" / "out")
    assert not (tmp_path / "here" / "out").exists()


def test_the_command_prints_counts_by_reason(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.jsonl"
    arguments = [str(run), "--format", "openrlhf", "--out", str(out)]
    done = CliRunner().invoke(cli_export.export, arguments)
    assert (done.exit_code, done.output) == (0, f"{out}: 2 rows; left out: off_menu 1, tie 1\n")
    done = CliRunner().invoke(cli_export.export, [*arguments, "--json"])
    assert json.loads(done.output)["left_out"] == {"off_menu": 1, "tie": 1}
    assert CliRunner().invoke(cli_export.export, [*arguments[:2], "xml"]).exit_code == 2


def test_a_run_without_verdicts_gives_empty_files(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", [RECORDS[3]])
    for format in ("trl", "openrlhf", "icai"):
        found = export(run, format, tmp_path / format)
        assert (found.rows, found.left_out) == (0, {"off_menu": 1})
    assert (tmp_path / "trl").read_bytes() == b""
    assert read(tmp_path / "icai").comparisons == ()
    for format, name in (("hf", "hf"), ("verl", "v.parquet")):
        with pytest.raises(DataError, match="no rows to write"):
            export(run, format, tmp_path / name)
        assert not (tmp_path / name).exists()


def test_a_row_that_is_not_ours_is_refused() -> None:
    row = rows.preference(RECORDS[0])
    for damaged in ({**row, "record": "{"}, {**row, "chosen": []}, {"prompt": []}):
        with pytest.raises(DataError, match="not a row that charter wrote"):
            rows.labelled(damaged)
