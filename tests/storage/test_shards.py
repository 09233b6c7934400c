"""Shards: the same records come back, whatever dies between two steps, from disk and from S3."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from pyarrow import parquet as arrow_parquet

from charter.errors import StoreError
from charter.records import Dropped, Message
from charter.storage import parquet, shards
from charter.storage.index import StorageConfig, index_of, read_index
from charter.store import DROPPED, RECORDS, RecordLog, RunFolder, StageFolder

RECORD = 55
"""Bytes of one record of `made`, so that sizes in tests are numbers of records."""


def made(first: int, count: int) -> list[Message]:
    return [Message("user", f"record {n:06d} “ünï” ") for n in range(first, first + count)]


def small(path: Path, records: int = 10, url: str = "") -> StageFolder:
    """A stage whose records become a shard every `records` records."""
    storage = StorageConfig(url=url, shard_mb=records * RECORD / 1e6)
    return RunFolder(path / "run", storage).stage("critique", "asked")


def fill(stage: StageFolder, count: int = 35, chunk: int = 5) -> list[Message]:
    log = stage.log(Message)
    for first in range(0, count, chunk):
        log.append(made(first, min(chunk, count - first)))
    return made(0, count)


def test_a_large_log_becomes_shards_and_reads_the_same(tmp_path: Path) -> None:
    stage = small(tmp_path)
    expected = fill(stage)
    log = stage.log(Message)
    assert [s.rows for s in read_index(log.path).shards] == [10, 10, 10]
    assert len(log.path.read_bytes().splitlines()) == 5
    assert list(log) == expected
    # A reader that knows only the path sees the shards as well.
    assert list(RecordLog(stage.path / RECORDS, Message)) == expected


def test_a_shard_is_parquet_that_holds_the_bytes_of_the_log(tmp_path: Path) -> None:
    sharded, plain = small(tmp_path), RunFolder(tmp_path / "plain").stage("critique", "asked")
    fill(sharded, 10)
    fill(plain, 10)
    column = arrow_parquet.read_table(sharded.path / "records-00000.parquet").column("record")
    lines = (plain.path / RECORDS).read_text(encoding="utf-8").splitlines()
    assert column.to_pylist() == lines


def test_the_manifest_lists_shards_with_digests_and_counts_their_records(tmp_path: Path) -> None:
    stage = small(tmp_path)
    fill(stage)
    stage.log(Dropped, DROPPED).append([Dropped("1", "critique", "empty")])
    manifest = stage.finish(1.0)
    assert (manifest.kept, manifest.dropped) == (35, {"empty": 1})
    names = [f"records-{n:05d}.parquet" for n in range(4)]
    assert set(manifest.files) == {*names, RECORDS, DROPPED}
    for shard in read_index(stage.path / RECORDS).shards:
        assert manifest.files[shard.name].sha256 == shard.sha256
    assert manifest.files[RECORDS].bytes == 0
    shards.check(stage.path / RECORDS)


def test_a_small_stage_has_no_shard(tmp_path: Path) -> None:
    stage = small(tmp_path, 1000)
    fill(stage)
    assert set(stage.finish(1.0).files) == {RECORDS}
    assert not index_of(stage.path / RECORDS).exists()


class Kill(BaseException):
    """Not an `Exception`: nothing may catch it."""


@pytest.mark.parametrize("at", ["write", "mv", "write_atomic", "unlink"])
def test_a_kill_between_any_two_steps_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    stage = small(tmp_path)
    log = stage.log(Message)
    log.append(made(0, 5))

    def killed(*args: Any, **options: Any) -> Any:
        raise Kill

    where: dict[str, Any] = {
        "write": parquet,
        "mv": type(fsspec.filesystem("file")),
        "write_atomic": shards,
        "unlink": Path,
    }
    with monkeypatch.context() as patch:
        patch.setattr(where[at], at, killed)
        with pytest.raises(Kill):
            log.append(made(5, 5))
    assert list(log) == made(0, 10)
    log.repair()
    assert [s.rows for s in read_index(log.path).shards] == [10]
    assert list(log) == made(0, 10)
    log.append(made(10, 3))
    assert list(log) == made(0, 13)
    assert stage.finish(1.0).kept == 13


def test_a_half_written_shard_is_never_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = small(tmp_path)
    log = stage.log(Message)

    def full(*args: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(parquet, "_write_rows", full)
        with pytest.raises(StoreError, match=r"records-00000\.parquet.*No space left on device"):
            log.append(made(0, 10))
    assert (stage.path / "records-00000.parquet.partial").exists()
    assert not (stage.path / "records-00000.parquet").exists()
    assert list(log) == made(0, 10)
    log.repair()
    log.append(made(10, 10))
    assert list(log) == made(0, 20)
    assert "partial" not in "".join(stage.finish(1.0).files)


def test_a_shard_that_is_not_as_it_was_written_is_an_error(tmp_path: Path) -> None:
    stage = small(tmp_path)
    fill(stage, 10)
    shard = stage.path / "records-00000.parquet"
    blob = shard.read_bytes()
    shard.write_bytes(blob[:-1])
    with pytest.raises(StoreError, match="is damaged"):
        list(stage.log(Message))
    shard.write_bytes(bytes([blob[0] ^ 1]) + blob[1:])
    with pytest.raises(StoreError, match="its digest is"):
        shards.check(stage.path / RECORDS)
    shard.unlink()
    with pytest.raises(StoreError, match="reading shard"):
        list(stage.log(Message))


def test_a_damaged_list_of_shards_is_an_error(tmp_path: Path) -> None:
    stage = small(tmp_path)
    fill(stage, 10)
    index_of(stage.path / RECORDS).write_bytes(b'{"base": ')
    with pytest.raises(StoreError, match="damaged list of shards"):
        list(stage.log(Message))


def test_a_kill_between_renaming_and_beginning_anew_leaves_a_log_to_look_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = small(tmp_path)
    log = stage.log(Message)

    def killed(*args: Any, **options: Any) -> None:
        raise Kill

    log.append(made(0, 5))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "touch", killed)
        with pytest.raises(Kill):
            log.append(made(5, 5))
    assert not log.path.exists()
    log.repair()
    assert log.path.exists()
    assert list(log) == made(0, 10)
    assert set(stage.finish(1.0).files) == {RECORDS, "records-00000.parquet"}


def test_the_digest_of_the_records_is_of_all_of_them(tmp_path: Path) -> None:
    found = {}
    for name, size, count in (("a", 10, 30), ("b", 10, 30), ("c", 10, 20), ("d", 99, 30)):
        stage = small(tmp_path / name, size)
        fill(stage, count)
        # What was dropped is no record.
        stage.log(Dropped, DROPPED).append([Dropped(name, "critique", "empty")])
        found[name] = stage.finish(1.0)
    digests = {name: manifest.sha256_of_records for name, manifest in found.items()}
    assert digests["a"] == digests["b"] != digests["c"]
    assert digests["d"] == found["d"].files[RECORDS].sha256


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket on a server on loopback that speaks S3's own protocol."""
    moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        fsspec.filesystem("s3").mkdir("charter-test")
        yield "s3://charter-test/runs"
    server.stop()


def test_shards_on_s3_read_the_same_and_have_the_same_digests(tmp_path: Path, bucket: str) -> None:
    remote, local = small(tmp_path, url=bucket), small(tmp_path / "local")
    expected = fill(remote)
    fill(local)
    manifests = [stage.finish(1.0) for stage in (remote, local)]
    assert manifests[0].files == manifests[1].files
    assert manifests[0].kept == 35
    assert list(remote.log(Message)) == expected
    shards.check(remote.path / RECORDS)
    assert not list(remote.path.glob("*.parquet"))
    found = fsspec.filesystem("s3").find(f"{bucket}/run/critique-{remote.key[:8]}")
    assert [file.rpartition("/")[2] for file in found] == [
        f"records-{n:05d}.parquet" for n in range(4)
    ]


def test_a_kill_before_a_shard_on_s3_has_its_name_is_made_good(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = small(tmp_path, url=f"{bucket}/killed")
    log = stage.log(Message)

    def killed(*args: Any, **options: Any) -> Any:
        raise Kill

    with monkeypatch.context() as patch:
        patch.setattr(type(fsspec.filesystem("s3")), "mv", killed)
        with pytest.raises(Kill):
            log.append(made(0, 10))
    assert list(log) == made(0, 10)
    log.repair()
    assert list(log) == made(0, 10)
    assert [s.rows for s in read_index(log.path).shards] == [10]
    assert not list(stage.path.glob("*.sealed"))


def test_a_store_that_is_not_there_is_a_clear_error_and_keeps_the_records(
    tmp_path: Path, bucket: str
) -> None:
    stage = small(tmp_path, url="s3://NO_such_bucket/x")
    with pytest.raises(StoreError, match="writing shard s3://NO_such_bucket/x"):
        stage.log(Message).append(made(0, 10))
    assert list(stage.log(Message)) == made(0, 10)
