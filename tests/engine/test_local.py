"""The local engine: whenever it is killed, the finished folder holds the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from charter import store
from charter.engine.local import chunks, process
from charter.errors import StoreError
from charter.records import Dropped, Record
from charter.store import DROPPED, MANIFEST, RECORDS, Manifest, RecordLog, RunFolder, StageFolder


class Made(Record, frozen=True):
    """What became of an item, and the batch that it was made in."""

    id: str
    batch: str


def items(count: int = 11) -> list[str]:
    return [f"item{number}" for number in range(count)]


def work(group: Sequence[str]) -> list[Made | Dropped]:
    """Drops every third item; what it makes shows which batch it was made in."""
    batch = ",".join(group)
    return [
        Dropped(item, "test", "third") if int(item[4:]) % 3 == 2 else Made(item, batch)
        for item in group
    ]


def go(stage: StageFolder, work: Any = work, given: Any = None, **options: Any) -> Manifest:
    return process(
        stage,
        items() if given is None else given,
        work,
        record_type=Made,
        identify=lambda item: item if isinstance(item, str) else item.id,
        chunk=4,
        **options,
    )


def bytes_of(stage: StageFolder) -> dict[str, bytes]:
    return {name: (stage.path / name).read_bytes() for name in (RECORDS, DROPPED)}


@pytest.fixture
def stage(tmp_path: Path) -> StageFolder:
    return RunFolder(tmp_path / "run").stage("test", "asked")


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, bytes]:
    whole = RunFolder(tmp_path / "whole").stage("test", "asked")
    go(whole)
    return bytes_of(whole)


def test_every_item_is_kept_or_dropped_once_and_in_order(stage: StageFolder) -> None:
    manifest = go(stage)
    assert (manifest.kept, manifest.dropped) == (8, {"third": 3})
    assert [r.id for r in stage.log(Made)] == [i for i in items() if int(i[4:]) % 3 != 2]
    assert [r.id for r in stage.log(Dropped, DROPPED)] == ["item2", "item5", "item8"]
    assert next(iter(stage.log(Made))).batch == "item0,item1,item2,item3"


class Kill(BaseException):
    """Not an `Exception`: nothing may catch it."""


@pytest.mark.parametrize("at", range(6))
@pytest.mark.parametrize("half_a_line", [False, True])
def test_a_kill_at_any_write_ends_in_the_same_bytes(
    stage: StageFolder,
    expected: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    at: int,
    half_a_line: bool,
) -> None:
    written = 0
    append = RecordLog.append

    def killed(self: RecordLog, records: Sequence[Any]) -> None:
        nonlocal written
        if written == at:
            if half_a_line and records:
                append(self, records)
                os.truncate(self.path, self.path.stat().st_size - 7)
            raise Kill
        written += 1
        append(self, records)

    with monkeypatch.context() as patch:
        patch.setattr(RecordLog, "append", killed)
        with pytest.raises(Kill):
            go(stage)
    assert stage.manifest is None
    go(stage)
    assert bytes_of(stage) == expected


@pytest.mark.parametrize("at", range(3))
def test_a_kill_while_working_ends_in_the_same_bytes_and_redoes_one_chunk(
    stage: StageFolder, expected: dict[str, bytes], at: int
) -> None:
    asked: list[int] = []

    def killed(group: Sequence[str]) -> list[Made | Dropped]:
        if len(asked) == at:
            raise Kill
        asked.append(len(group))
        return work(group)

    def counted(group: Sequence[str]) -> list[Made | Dropped]:
        asked.append(len(group))
        return work(group)

    with pytest.raises(Kill):
        go(stage, killed)
    go(stage, counted)
    assert bytes_of(stage) == expected
    assert asked == [4, 4, 3]


def test_a_real_kill_ends_in_the_same_bytes(stage: StageFolder, expected: dict[str, bytes]) -> None:
    code = (
        "import os, signal, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import test_local as t\n"
        "from charter.store import RunFolder\n"
        "def killed(group):\n"
        "    if 'item8' in group:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return t.work(group)\n"
        "t.go(RunFolder(sys.argv[2]).stage('test', 'asked'), killed)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent), str(stage.path.parent)],
        env={**os.environ, "PYTHONPATH": str(Path(store.__file__).parents[1])},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert len(list(stage.log(Made))) == 6
    go(stage)
    assert bytes_of(stage) == expected


def test_a_finished_stage_is_not_done_again(stage: StageFolder) -> None:
    manifest = go(stage)
    before = (stage.path / MANIFEST).stat().st_mtime_ns

    def never(group: Sequence[str]) -> list[Made | Dropped]:
        raise AssertionError("asked again")

    assert go(stage, never) == manifest
    assert (stage.path / MANIFEST).stat().st_mtime_ns == before


def test_lost_items_are_an_error(stage: StageFolder) -> None:
    with pytest.raises(StoreError, match="stage 'test' lost items: 4 went in"):
        go(stage, lambda group: work(group)[:-1])
    assert stage.manifest is None


def test_no_items_give_an_empty_finished_stage(stage: StageFolder) -> None:
    manifest = go(stage, given=[])
    assert (manifest.kept, manifest.dropped) == (0, {})
    assert stage.manifest is not None


def test_items_are_read_a_chunk_at_a_time(stage: StageFolder) -> None:
    read = 0

    def stream() -> Iterator[str]:
        nonlocal read
        for item in items(12):
            read += 1
            yield item

    seen: list[int] = []

    def watching(group: Sequence[str]) -> list[Made | Dropped]:
        seen.append(read)
        return work(group)

    go(stage, watching, given=stream())
    assert seen == [4, 8, 12]


def test_progress_is_told_after_every_chunk(stage: StageFolder) -> None:
    told: list[tuple[str, int, int | None]] = []
    go(stage, total=11, progress=lambda *news: told.append(news))
    assert told == [("test", 4, 11), ("test", 8, 11), ("test", 11, 11)]


def test_notes_are_asked_for_at_the_end(stage: StageFolder) -> None:
    manifest = go(stage, notes=lambda: {"made": sum(1 for _ in stage.log(Made))})
    assert manifest.notes == {"made": 8}


def test_chunks() -> None:
    assert list(chunks(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(chunks([], 2)) == []
