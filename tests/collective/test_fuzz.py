"""Broken exports: whatever the bytes, a conversation comes out or an error with file and line."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from charter.collective import vote_files
from charter.collective.arrow import Doubtful
from charter.collective.conversation import Conversation, read_files
from charter.collective.stage import CollectConfig, run
from charter.errors import CharterError, DataError

LOG = b"timestamp,comment-id,voter-id,vote\n" + b"".join(
    b"%d,%d,%d,%d\n" % (1000 - i, i % 5, i % 17, i % 3 - 1) for i in range(60)
)
WIDE = b"participant,group-id,n-votes,0,1,2,3,4\n" + b"".join(
    b"%d,,5,%d,,%d,%d,1\n" % (i, i % 3 - 1, 1 - i % 2, -(i % 2)) for i in range(17)
)
COMMENTS = b"timestamp,comment-id,agrees,disagrees,moderated,comment-body\n" + b"".join(
    b'%d,%d,3,2,%d,"Text, %d"\n' % (i, i, i % 3 - 1, i) for i in range(5)
)
PIECES = (
    b",", b"\n", b"\r", b'"', b"\x00", b"\xff", b"\xef\xbb\xbf", b"-", b"-1", b"1e3", b"0x1", b" 1",
    b"99999999999999999999", b"9223372036854775807", b"nan", b"NA", b"1.0", b"\xe2\x80\xa8", b"\t",
    b"comment-id", b"participant", b"=1+1", b"\x1f\x8b", b"", b"\n\n", b'""', b"+1", b"2", b"-0",
)  # fmt: skip


def _mutated(blob: bytes, draw: Random) -> bytes:
    """One to four edits: a piece put in, a stretch cut, doubled, or moved."""
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        start = draw.randrange(len(blob) + 1)
        stop = min(len(blob), start + draw.choice((0, 0, 1, 1, 2, 9, 40)))
        cut = blob[start:stop]
        middle = draw.choice((draw.choice(PIECES), b"", cut + cut, bytes([draw.randrange(256)])))
        blob = blob[:start] + middle + blob[stop:]
    return blob


def _files(folder: Path, draw: Random) -> tuple[Path, Path]:
    blobs = [draw.choice((LOG, WIDE)), COMMENTS]
    which = draw.randrange(2)
    blobs[which] = _mutated(blobs[which], draw)
    if draw.random() < 0.2:
        packed = gzip.compress(blobs[which], mtime=0)
        blobs[which] = _mutated(packed, draw) if draw.random() < 0.5 else packed
    paths = folder / "votes.csv", folder / "comments.csv"
    for path, blob in zip(paths, blobs, strict=True):
        path.write_bytes(blob)
    return paths


def _read(paths: tuple[Path, Path], *, careful: bool) -> Conversation | DataError:
    with pytest.MonkeyPatch.context() as patch:
        if careful:
            patch.setattr(vote_files.arrow, "whole_numbers", _doubt)
            patch.setattr(vote_files.arrow, "vote_blocks", _doubt)
        try:
            return read_files(*paths)
        except DataError as error:
            return error


def _doubt(*arguments: object) -> Iterator[object]:
    raise Doubtful


def _fuzz(folder: Path, seeds: range) -> tuple[int, int]:
    read = refused = 0
    for seed in seeds:
        paths = _files(folder, Random(seed))
        found, careful = (_read(paths, careful=way) for way in (False, True))
        if isinstance(found, DataError):
            refused += 1
            assert found.file in paths, seed
            assert found.line is not None, (seed, str(found))
            assert found.line >= 1, seed
            assert str(careful) == str(found), seed
            continue
        read += 1
        if not isinstance(careful, DataError):
            votes = (found.matrix.votes, careful.matrix.votes)
            assert votes[0].data.tolist() == votes[1].data.tolist(), seed
            assert votes[0].indices.tolist() == votes[1].indices.tolist(), seed
        if seed % 50 == 0:
            _stage(found)
    return read, refused


def _stage(found: Conversation) -> None:
    try:
        run(found, CollectConfig())
    except CharterError:
        pytest.fail("what could be read could not be grouped")


def test_some_mutations(tmp_path: Path) -> None:
    read, refused = _fuzz(tmp_path, range(400))
    assert read > 40
    assert refused > 40


@pytest.mark.exhaustive
def test_ten_thousand_mutations(tmp_path: Path) -> None:
    read, refused = _fuzz(tmp_path, range(1_000, 11_000))
    assert read + refused == 10_000
