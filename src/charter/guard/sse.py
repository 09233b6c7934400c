"""Server-sent events: bytes in whatever pieces they arrive, to whole data payloads, and back.

Knows nothing of what a payload means. Works on bytes, so a code point that is split between two
network reads is never decoded by halves. Comments, ids and retry times are dropped: they would be
a way past the check.
"""

from __future__ import annotations

import re

from charter.guard.faults import Fault

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class FrameCutter:
    """Cuts a byte stream into the data payloads of its events.

    Args:
        limit: longest event in bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._rest = b""
        self._lines: list[bytes] = []
        self._size = 0
        self._first = True

    def push(self, chunk: bytes) -> list[bytes]:
        """Payloads of the events that are complete now.

        Raises:
            Fault: an event is longer than the limit.
        """
        text, start, found = self._rest + chunk, 0, []
        for match in _LINE_END.finditer(text):
            # A carriage return that comes last may be half of a line end.
            if match.group() == b"\r" and match.end() == len(text):
                break
            payload = self._line(text[start : match.start()])
            start = match.end()
            if payload is not None:
                found.append(payload)
        self._rest = text[start:]
        if len(self._rest) + self._size > self.limit:
            raise Fault("upstream_malformed", "upstream sent an event that is too long")
        return found

    def finish(self) -> list[bytes]:
        """Payloads still complete when the stream ends. An unfinished event is dropped."""
        return self.push(b"\n") if self._rest.endswith(b"\r") else []

    def _line(self, line: bytes) -> bytes | None:
        if self._first:
            self._first, line = False, line.removeprefix(_BOM)
        if not line:
            payload = b"\n".join(self._lines) if self._lines else None
            self._lines, self._size = [], 0
            return payload
        if line.startswith(b"data:"):
            value = line[5:]
            self._lines.append(value[1:] if value.startswith(b" ") else value)
            self._size += len(value)
        return None


def frame(payload: bytes, event: str = "") -> bytes:
    """One event as bytes; `payload` is left as it is."""
    head = b"event: " + event.encode() + b"\n" if event else b""
    return head + b"data: " + payload.replace(b"\n", b"\ndata: ") + b"\n\n"
