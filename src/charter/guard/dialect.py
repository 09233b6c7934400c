"""What the two wire formats have in common: events with texts in them, and how these are found.

Owns: `Event`, the `Dialect` and `Writer` protocols, walking JSON for text. Knows no scores.

Texts are found by walking everything a model can write into, not by a list of known fields: a new
field of upstream is checked before anybody teaches the guard its name.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from charter.guard.conversation import Conversation
from charter.guard.decision import Stage
from charter.guard.faults import Fault
from charter.records import Record

Channel = tuple[str | int, ...]
Key = tuple[int, Channel]

_SKIPPED = frozenset(
    {"role", "id", "type", "index", "object", "bytes", "top_logprobs", "signature"}
    | {"encrypted_content", "call_id"}
)
"""Names of values that a server makes, not a model; and what no reader can make sense of."""
_MERGED = frozenset({"function", "name", "arguments"})
"""A tool call is one text: its name and then its arguments."""
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Piece:
    """A bit of text in an event."""

    choice: int
    channel: Channel
    text: str


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a streamed answer, or a whole answer.

    Attributes:
        payload: the bytes to pass on.
        data: what they mean.
        pieces: texts in it.
        choices: the choices it speaks of.
        settled: choices whose text so far is complete.
        finished: choices that end with it.
        last: whether the answer ends with it.
    """

    payload: bytes
    data: dict[str, Any]
    pieces: tuple[Piece, ...] = ()
    choices: tuple[int, ...] = ()
    settled: tuple[int, ...] = ()
    finished: tuple[int, ...] = ()
    last: bool = False


class Refusal(Record, frozen=True):
    """What stands in place of a blocked text, and what is said about it in a field `charter`."""

    text: str
    stage: Stage
    clauses: tuple[str, ...]
    request: str

    def notice(self) -> dict[str, Any]:
        """The extension field: which clauses, and the id of the audit record. Never the score."""
        return {
            "action": "block",
            "stage": self.stage,
            "clauses": list(self.clauses),
            "request": self.request,
        }


class Writer(Protocol):
    """Writes one streamed answer; remembers what the client has seen of it."""

    def emit(self, event: Event, without: Collection[int]) -> bytes:
        """An event, as it came but for the choices in `without`."""

    def cut(self, event: Event, choice: int, keep: Mapping[Channel, int]) -> bytes:
        """The first characters of each channel of a choice in this event, and nothing else."""

    def refuse(self, choice: int, refusal: Refusal) -> bytes:
        """End a choice with a refusal."""

    def end(self) -> bytes:
        """What comes last when the guard ends the answer itself."""

    def error(self, fault: Fault) -> bytes:
        """End the stream with an error."""


class Dialect(Protocol):
    """A wire format, as the server needs it."""

    name: str
    path: str

    def conversation(self, body: Mapping[str, Any]) -> Conversation:
        """What a request says. Raises `Fault` if it is no request of this format."""

    def choices(self, body: Mapping[str, Any]) -> int:
        """How many answers a request asks for."""

    def read(self, payload: bytes) -> Event:
        """One event of a stream. Raises `Fault` if it cannot be read, or is an error."""

    def read_whole(self, payload: bytes) -> Event:
        """A whole answer."""

    def refuse_whole(self, event: Event, refusals: Mapping[int, Refusal]) -> bytes:
        """A whole answer with refusals in place of blocked choices."""

    def refused(self, body: Mapping[str, Any], refusal: Refusal) -> bytes:
        """A whole answer to a request that was blocked."""

    def writer(self, body: Mapping[str, Any], request: str) -> Writer:
        """A writer for one streamed answer to this request; `request` is our id for it."""

    def error(self, fault: Fault) -> bytes:
        """An error body."""


def decode(payload: bytes) -> dict[str, Any]:
    """A JSON object from upstream.

    Raises:
        Fault: it is not one.
    """
    try:
        data = _decode(payload)
    except (ValueError, RecursionError):
        data = _decode_lenient(payload)
    if not isinstance(data, dict):
        raise Fault("upstream_malformed", "upstream sent something that is no JSON object")
    return data


def _decode_lenient(payload: bytes) -> Any:
    """msgspec takes no lone surrogates, and a server may split a pair between two events."""
    try:
        return json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise Fault("upstream_malformed", "upstream sent something that is no JSON") from error


def encode(data: Any) -> bytes:
    """JSON bytes; lone surrogates become escapes again."""
    try:
        return msgspec.json.encode(data)
    except UnicodeEncodeError:
        return json.dumps(data, separators=(",", ":")).encode()


def texts(value: Any, channel: Channel = ()) -> Iterator[tuple[Channel, str]]:
    """Every text a model may have written inside a value, with the channel it belongs to."""
    if isinstance(value, str):
        if value:
            yield channel, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name not in _SKIPPED:
                yield from texts(inner, channel if name in _MERGED else (*channel, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from texts(inner, _inside(channel, place, inner))


def trimmed(value: Any, keep: dict[Channel, int], channel: Channel = ()) -> Any:
    """A copy of a value with each channel cut to the number of characters in `keep` (else 0).

    `keep` is used up on the way.
    """
    if isinstance(value, str):
        room = keep.get(channel, 0)
        keep[channel] = max(0, room - len(value))
        return value[:room]
    if isinstance(value, dict):
        return {
            name: inner
            if name in _SKIPPED
            else trimmed(inner, keep, channel if name in _MERGED else (*channel, name))
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [trimmed(v, keep, _inside(channel, i, v)) for i, v in enumerate(value)]
    return value


def _inside(channel: Channel, place: int, item: Any) -> Channel:
    """Members that say which they are have channels of their own; others go on with one text."""
    if isinstance(item, dict):
        if isinstance(item.get("index"), int):
            return (*channel, item["index"])
        if "id" in item:
            return (*channel, place)
    return channel
