from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.guard.faults import Fault
from charter.guard.sse import FrameCutter, frame

STREAM = (
    'data: {"a":"🥖"}\n\n: note\nevent: x\r\ndata:b\r\ndata:  c\r\n\r\n'
    "id: 1\n\ndata: d\r\rdata: half"
)
PAYLOADS = ['{"a":"🥖"}'.encode(), b"b\n c", b"d"]


@given(st.lists(st.integers(0, len(STREAM.encode())), max_size=12))
def test_events_are_the_same_however_their_bytes_arrive(points: list[int]) -> None:
    blob = b"\xef\xbb\xbf" + STREAM.encode()
    places = sorted({0, *points, len(blob)})
    cutter = FrameCutter(1000)
    found = [payload for a, b in pairwise(places) for payload in cutter.push(blob[a:b])]
    assert found + cutter.finish() == PAYLOADS


def test_a_carriage_return_at_the_very_end_ends_a_line() -> None:
    cutter = FrameCutter(1000)
    assert cutter.push(b"data: x\r\r") == []
    assert cutter.finish() == [b"x"]


@pytest.mark.parametrize("blob", [b"data: " + b"x" * 200, b"data: 0123456789\n" * 20])
def test_an_event_without_an_end_does_not_pile_up(blob: bytes) -> None:
    with pytest.raises(Fault, match="too long"):
        FrameCutter(100).push(blob)


@given(st.lists(st.binary().map(lambda b: b.replace(b"\r", b"")), min_size=1, max_size=4))
def test_what_is_framed_is_cut_again(payloads: list[bytes]) -> None:
    blob = b"".join(frame(payload, "kind") for payload in payloads)
    assert FrameCutter(1 << 20).push(blob) == payloads
