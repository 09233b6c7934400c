"""Texts around a request: the library of frames, filling one, and reading the request out again.

Owns `library/wrappers.yaml` and the two ways of drawing a frame: one of a list, or one put together
from parts. Knows nothing of who is asking what.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from random import Random
from typing import Any, Protocol

from charter import yaml_tree
from charter.errors import InputError
from charter.records import digest

PAYLOAD = "payload"
_PLACEHOLDER = re.compile(r"\{\{([a-z]+)\}\}")
_FILE = resources.files("charter.guard") / "library" / "wrappers.yaml"


class Frames(Protocol):
    """Something that a frame can be drawn from."""

    def draw(self, source: Random) -> str:
        """A frame: a text with placeholders such as `{{payload}}`."""

    def find(self, text: str) -> dict[str, str] | None:
        """What stands at the placeholders of a text made with one of the frames; None if none."""


class OneOf:
    """Frames that are written out.

    Args:
        frames: the texts.
    """

    def __init__(self, frames: Sequence[str]) -> None:
        self.frames = tuple(frames)

    def draw(self, source: Random) -> str:
        """One of them."""
        return source.choice(self.frames)

    def find(self, text: str) -> dict[str, str] | None:
        """See `Frames`. The longest frame that fits counts: a bare `{{payload}}` fits any text."""
        for frame in sorted(self.frames, key=len, reverse=True):
            found = read(frame, text)
            if found is not None:
                return found
        return None


class Parts:
    """Frames put together: one of each list of parts, then one of those that ask.

    Args:
        parts: lists of texts without a placeholder, in order.
        asks: texts with the placeholder.
    """

    joint = "\n\n"

    def __init__(self, parts: Sequence[Sequence[str]], asks: Sequence[str]) -> None:
        self.parts, self.asks = tuple(map(tuple, parts)), OneOf(asks)

    def draw(self, source: Random) -> str:
        """One of the combinations."""
        return self.joint.join([self.opening(source), self.asks.draw(source)])

    def opening(self, source: Random) -> str:
        """One of the combinations, before it asks for anything."""
        return self.joint.join(source.choice(options) for options in self.parts)

    def find(self, text: str) -> dict[str, str] | None:
        """See `Frames`."""
        for last in self.parts[-1]:
            _, mark, rest = text.partition(last + self.joint)
            if mark:
                return self.asks.find(rest)
        return None


def fill(frame: str, values: Mapping[str, str]) -> str:
    """A frame with its placeholders filled, in one pass: what is put in is never looked at."""
    return _PLACEHOLDER.sub(lambda match: values[match.group(1)], frame)


def read(frame: str, text: str) -> dict[str, str] | None:
    """What stands at the placeholders of `frame` in `text`; None if it was not made with it."""
    literals = _PLACEHOLDER.split(frame)
    pattern = "".join(
        re.escape(part) if place % 2 == 0 else f"(?P<{part}>.*)"
        for place, part in enumerate(literals)
    )
    match = re.fullmatch(pattern, text, re.DOTALL)
    return match.groupdict() if match else None


@cache
def _library() -> Any:
    return yaml_tree.parse(_FILE.read_text(encoding="utf-8"), file=str(_FILE), kind=InputError)


@cache
def frames_digest() -> str:
    """Digest of the library, for `Origin.template`."""
    return digest(_FILE.read_text(encoding="utf-8"))


def written(name: str) -> OneOf:
    """The frames of that name in the library."""
    return OneOf([str(frame) for frame in _library()[name]])


def texts(name: str) -> tuple[str, ...]:
    """A list of plain texts in the library."""
    return tuple(str(text) for text in _library()[name])


def exchanges(name: str) -> tuple[tuple[str, str], ...]:
    """A list of (question, answer) in the library."""
    return tuple((str(asked), str(answered)) for asked, answered in _library()[name])


def long_frames() -> Parts:
    """The long set-ups: a persona, its rules, a reason, a start, and then the request."""
    long = _library()["long"]
    parts = [[str(t) for t in long[part]] for part in ("persona", "rules", "reason", "ready")]
    return Parts(parts, [str(ask) for ask in long["ask"]])
