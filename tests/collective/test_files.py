from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charter.collective.files import write
from charter.collective.stage import CollectConfig, run
from charter.errors import StoreError

Make = Callable[..., Any]


def test_same_votes_same_bytes(electorate: Make, tmp_path: Path) -> None:
    conversation = electorate().conversation
    for name in ("one", "two"):
        write(run(conversation, CollectConfig()), conversation, tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["collect.json", "draft.yaml", "map.csv", "report.html"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_map_file_has_everyone_in_a_group(electorate: Make, tmp_path: Path) -> None:
    planted = electorate(people=200)
    outcome = run(planted.conversation, CollectConfig())
    paths = write(outcome, planted.conversation, tmp_path)
    with Path(paths["map"]).open() as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["participant"]) for row in rows] == list(range(200))
    sizes = [sum(row["group"] == str(g + 1) for row in rows) for g in range(outcome.grouping.k)]
    assert sizes == json.loads((tmp_path / "collect.json").read_text())["groups"]


def test_an_old_draft_does_not_stay_beside_a_result_without_one(
    electorate: Make, tmp_path: Path
) -> None:
    conversation = electorate().conversation
    assert "draft" in write(run(conversation, CollectConfig()), conversation, tmp_path)
    empty = run(conversation, CollectConfig(threshold=1.0))
    assert "draft" not in write(empty, conversation, tmp_path)
    assert not (tmp_path / "draft.yaml").exists()


def test_a_folder_that_cannot_be_made_is_a_failed_work(electorate: Make, tmp_path: Path) -> None:
    conversation = electorate().conversation
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="making folder"):
        write(run(conversation, CollectConfig()), conversation, tmp_path / "file" / "out")
