"""Run folders: nothing is lost to a kill, a full disk, a changed recipe or a second process."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from charter import store
from charter.errors import StoreError
from charter.records import Dropped, Message
from charter.store import DROPPED, MANIFEST, RECORDS, RecordLog, RunFolder, write_atomic

A, B = Message("user", "one"), Message("assistant", "two")
LINE_A = b'{"role":"user","content":"one"}\n'
LINE_B = b'{"role":"assistant","content":"two"}\n'


@pytest.fixture
def log(tmp_path: Path) -> RecordLog:
    return RecordLog(tmp_path / RECORDS, Message)


def test_records_come_back_in_order(log: RecordLog) -> None:
    log.append([A])
    log.append([B, A])
    assert list(log) == [A, B, A]
    assert log.path.read_bytes() == LINE_A + LINE_B + LINE_A


def test_a_log_that_does_not_exist_is_empty(log: RecordLog) -> None:
    log.repair()
    assert list(log) == []
    assert not log.path.exists()


@pytest.mark.parametrize("cut", [1, 10, len(LINE_B) - 1])
def test_a_truncated_last_line_is_repaired(log: RecordLog, cut: int) -> None:
    log.path.write_bytes(LINE_A + LINE_B[:cut])
    assert list(log) == [A]
    log.repair()
    assert log.path.read_bytes() == LINE_A
    log.append([B])
    assert list(log) == [A, B]


def test_repair_leaves_whole_files_alone_and_empties_one_without_a_line(log: RecordLog) -> None:
    log.path.write_bytes(LINE_A + LINE_B)
    log.repair()
    assert log.path.read_bytes() == LINE_A + LINE_B
    log.path.write_bytes(LINE_B[:9])
    log.repair()
    assert log.path.read_bytes() == b""


def test_repair_finds_the_last_line_far_from_the_end(log: RecordLog) -> None:
    log.path.write_bytes(LINE_A + b'{"role":"user","content":"' + b"x" * 200_000)
    log.repair()
    assert log.path.read_bytes() == LINE_A


def test_a_damaged_line_in_the_middle_is_an_error_that_names_it(log: RecordLog) -> None:
    log.path.write_bytes(LINE_A + b"{oops\n" + LINE_B)
    with pytest.raises(StoreError, match=rf"{RECORDS}:2: damaged record"):
        list(log)


def test_a_full_disk_loses_no_record_and_is_resumed_from(
    log: RecordLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append([A])

    def full(handle: int) -> None:
        # The disk took half of the last line, then had no room.
        os.truncate(log.path, len(LINE_A) + 12)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store.os, "fsync", full)
        with pytest.raises(StoreError, match="No space left on device"):
            log.append([B])
    log.repair()
    log.append([B])
    assert list(log) == [A, B]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_really_full_device_is_a_store_error() -> None:
    with pytest.raises(StoreError, match="No space left on device"):
        RecordLog(Path("/dev/full"), Message).append([A])


def test_an_atomic_write_that_fails_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "summary.json"
    write_atomic(file, b"old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store.os, "fsync", full)
    with pytest.raises(StoreError, match=r"summary\.json failed: .*No space left"):
        write_atomic(file, b"new")
    assert file.read_bytes() == b"old"


def test_a_stage_without_a_manifest_is_unfinished_and_keeps_its_records(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.stage("critique", {"rounds": 2}).log(Message).append([A])
    again = run.stage("critique", {"rounds": 2})
    assert again.manifest is None
    assert list(again.log(Message)) == [A]


def test_a_changed_key_moves_the_old_folder_aside(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    first = run.stage("critique", {"rounds": 2})
    first.log(Message).append([A])
    first.finish(1.0)
    second = run.stage("critique", {"rounds": 4})
    assert second.manifest is None
    assert list(second.log(Message)) == []
    kept = run.path / f"critique.old-{first.key[:8]}"
    assert (kept / RECORDS).read_bytes() == LINE_A
    assert run.manifests() == {}


def test_moving_aside_twice_overwrites_nothing(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    for text in ("one", "two"):
        run.stage("sft", "old").log(Message).append([Message("user", text)])
        run.stage("sft", "new")
    found = sorted(p.read_text() for p in run.path.glob(f"sft.old-*/{RECORDS}"))
    assert found == [
        '{"role":"user","content":"one"}\n',
        '{"role":"user","content":"two"}\n',
    ]


def test_key_order_in_what_was_asked_does_not_matter(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    first = run.stage("sft", {"a": 1, "b": 2})
    assert run.stage("sft", {"b": 2, "a": 1}).key == first.key
    assert [p.name for p in run.path.iterdir()] == ["sft"]


def test_a_manifest_counts_and_digests_what_lies_beside_it(tmp_path: Path) -> None:
    stage = RunFolder(tmp_path).stage("critique", "asked")
    stage.log(Message).append([A, B])
    stage.log(Dropped, DROPPED).append(
        [Dropped("1", "critique", "empty"), Dropped("2", "critique", "empty")]
    )
    manifest = stage.finish(1.23456, {"models": 1})
    assert (manifest.kept, manifest.dropped, manifest.seconds) == (2, {"empty": 2}, 1.235)
    assert set(manifest.files) == {RECORDS, DROPPED}
    assert manifest.files[RECORDS].sha256 == hashlib.sha256(LINE_A + LINE_B).hexdigest()
    assert manifest.files[RECORDS].bytes == len(LINE_A + LINE_B)
    assert stage.manifest == manifest
    assert RunFolder(tmp_path).manifests() == {"critique": manifest}


def test_the_manifest_is_written_last_and_by_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = RunFolder(tmp_path).stage("critique", "asked")
    stage.log(Message).append([A])

    def killed(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            stage.finish(1.0)
    assert stage.manifest is None
    manifest = stage.finish(1.0)
    assert set(manifest.files) == {RECORDS}


def test_a_damaged_manifest_is_an_error(tmp_path: Path) -> None:
    stage = RunFolder(tmp_path).stage("critique", "asked")
    (stage.path / MANIFEST).write_bytes(b'{"stage": "crit')
    with pytest.raises(StoreError, match="damaged manifest"):
        _ = stage.manifest


def test_a_second_process_is_refused_and_a_later_one_is_not(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    code = (
        "import sys\n"
        "from charter.store import RunFolder\n"
        "from charter.errors import StoreError\n"
        "try:\n"
        "    with RunFolder(sys.argv[1]).locked():\n"
        "        print('held')\n"
        "except StoreError as error:\n"
        "    print(error)\n"
    )

    def other() -> str:
        command = [sys.executable, "-c", code, str(run.path)]
        environment = {**os.environ, "PYTHONPATH": str(Path(store.__file__).parents[1])}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    with run.locked():
        assert other() == f"another process is working on run {run.path}"
    assert other() == "held"


def test_a_run_cannot_be_made_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(StoreError, match="making run folder"):
        RunFolder(tmp_path / "run")
