from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from charter.guard.audit import AuditLog, AuditRecord


def record(request: str, **fields: Any) -> AuditRecord:
    return AuditRecord(
        **{
            **dict.fromkeys(("at", "dialect", "model", "classifier", "outcome", "reason"), ""),
            **dict.fromkeys(("action", "stage", "prompt", "first_byte_seconds")),
            "request": request,
            "streamed": False,
            "mode": "enforce",
            "on_error": "closed",
            "state": "scanned",
            "clauses": (),
            "answers": (),
            "withheld": False,
            "unchecked_run": 0,
            "seconds": 0.0,
            **fields,
        }
    )


def requests(path: Path) -> list[str]:
    lines = path.read_bytes().splitlines()
    return [msgspec.json.decode(line, type=AuditRecord).request for line in lines]


def test_a_full_file_is_set_aside_and_nothing_is_lost(tmp_path: Path) -> None:
    for run in range(2):  # the second run goes on where the first one ended
        log = AuditLog(tmp_path, rotate_bytes=600)
        for i in range(3):
            log.append(record(f"{run}.{i}"))
        log.close()
    files = sorted(tmp_path.glob("audit-*.jsonl"))
    assert [f.name for f in files] == ["audit-000001.jsonl", "audit-000002.jsonl"]
    found = [name for file in [*files, tmp_path / "audit.jsonl"] for name in requests(file)]
    assert found == [f"{run}.{i}" for run in range(2) for i in range(3)]


def test_a_line_that_a_kill_left_half_written_is_dropped(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    log.append(record("whole"))
    log.close()
    with (tmp_path / "audit.jsonl").open("ab") as stream:
        stream.write(b'{"request":"ha')
    log = AuditLog(tmp_path)
    log.append(record("next"))
    log.close()
    assert requests(tmp_path / "audit.jsonl") == ["whole", "next"]


def test_a_log_that_cannot_be_written_says_so_and_recovers(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    working = log._stream
    with Path("/dev/full").open("ab", buffering=0) as log._stream:
        log.append(record("lost"))
    assert not log.healthy
    log._stream = working
    log.append(record("kept"))
    assert log.healthy
    log.close()
    assert requests(tmp_path / "audit.jsonl") == ["kept"]


def test_several_writers_share_one_log_and_its_rotation(tmp_path: Path) -> None:
    logs = [AuditLog(tmp_path, rotate_bytes=2000) for _ in range(3)]

    def write(number: int) -> None:
        for i in range(60):
            logs[number].append(record(f"{number}.{i}"))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, range(3)))
    for log in logs:
        log.close()
        assert log.healthy
    files = sorted(tmp_path.glob("audit-*.jsonl"))
    assert len(files) > 10
    found = [name for file in [*files, tmp_path / "audit.jsonl"] for name in requests(file)]
    assert sorted(found) == sorted(f"{n}.{i}" for n in range(3) for i in range(60))
    # Each writer's own records stay in order.
    assert [name for name in found if name.startswith("1.")] == [f"1.{i}" for i in range(60)]
