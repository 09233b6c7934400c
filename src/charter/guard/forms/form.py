"""What an attack form is: a way of dressing up a request, whatever the request is.

Owns the protocol and the one class that most forms are made of. A form is a pure function of the
request and a seed. It fits a harmless request as well as a harmful one, so every attack has a
benign twin in the same dress (arXiv 2501.18837, data augmentation).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, Protocol

from charter.guard.frames import PAYLOAD, Frames, OneOf, fill
from charter.records import Message
from charter.seeds import draws

Group = Literal["encoding", "noise", "substitution", "wrapper", "format", "turns", "stacked"]
Encode = Callable[[str, Random], Mapping[str, str]]
Decode = Callable[[Mapping[str, str]], str]
BARE = OneOf(["{{payload}}"])
"""No frame at all."""


class Form(Protocol):
    """A way of dressing up a request.

    Attributes:
        name: rows, reports and figures cite it.
        group: kind of form.
        lossless: whether `recover` gives the whole request back, up to case and white space.
    """

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def group(self) -> Group:
        """Its kind."""

    @property
    def lossless(self) -> bool:
        """Whether nothing of the request is lost."""

    def apply(self, request: str, seed: int = 0) -> tuple[Message, ...]:
        """The request in this form: a conversation that ends with the user's turn.

        The frame depends on the seed alone, so two requests with one seed wear the same dress.
        """

    def recover(self, messages: Sequence[Message]) -> str:
        """The request that was dressed up.

        Raises:
            ValueError: the conversation was not made by this form.
        """


def _plain(text: str, source: Random) -> Mapping[str, str]:
    return {PAYLOAD: text}


def _payload(found: Mapping[str, str]) -> str:
    return found[PAYLOAD]


@dataclass(frozen=True, slots=True)
class TextForm:
    """A form that is one message: the request encoded, then framed. See `Form`.

    Attributes:
        frames: what may stand around the request.
        encode: the values of the frame's placeholders, from the request.
        decode: the way back.
    """

    name: str
    group: Group
    frames: Frames = BARE
    encode: Encode = _plain
    decode: Decode = _payload
    lossless: bool = True

    def apply(self, request: str, seed: int = 0) -> tuple[Message, ...]:
        """See `Form`."""
        frame = self.frames.draw(draws(seed, self.name, "frame"))
        values = self.encode(request, draws(seed, self.name, "encode"))
        return (Message("user", fill(frame, values)),)

    def recover(self, messages: Sequence[Message]) -> str:
        """See `Form`."""
        found = self.frames.find(messages[-1].content)
        if found is None:
            raise ValueError(f"not made by the form {self.name!r}")
        return self.decode(found)


@dataclass(frozen=True, slots=True)
class Stacked:
    """One form inside another; the outer one must be a single message around a text. See `Form`."""

    outer: TextForm
    inner: TextForm
    group: Group = "stacked"

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self.outer.name}+{self.inner.name}"

    @property
    def lossless(self) -> bool:
        """Whether both are."""
        return self.outer.lossless and self.inner.lossless

    def apply(self, request: str, seed: int = 0) -> tuple[Message, ...]:
        """See `Form`."""
        inside = self.inner.apply(request, seed)[-1].content
        return self.outer.apply(inside, seed)

    def recover(self, messages: Sequence[Message]) -> str:
        """See `Form`."""
        inside = self.outer.recover(messages)
        return self.inner.recover((Message("user", inside),))


def lifted(
    encode: Callable[[str, Random], str], decode: Callable[[str], str]
) -> tuple[Encode, Decode]:
    """Text-to-text functions as the pair that `TextForm` takes."""
    return (
        lambda text, source: {PAYLOAD: encode(text, source)},
        lambda found: decode(found[PAYLOAD]),
    )


def dressed(form: Form, messages: Sequence[Message], seed: int = 0) -> tuple[Message, ...]:
    """A conversation with its last turn, the user's, in this form."""
    assert messages[-1].role == "user", "a form dresses up a request"
    return (*messages[:-1], *form.apply(messages[-1].content, seed))


def likeness(text: str) -> str:
    """A text with case and white space folded, as `lossless` compares it."""
    return " ".join(text.casefold().split())
