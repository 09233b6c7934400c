"""Forms that take several turns: a request in parts, and one after many willing answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from charter.guard.forms.form import Group
from charter.guard.frames import exchanges, texts
from charter.records import Message
from charter.seeds import draws


@dataclass(frozen=True, slots=True)
class Split:
    """The words of a request spread over turns, with short replies between. See `form.Form`."""

    name: str = "multi_turn"
    group: Group = "turns"
    lossless: bool = True

    def apply(self, request: str, seed: int = 0) -> tuple[Message, ...]:
        """See `Form`."""
        source = draws(seed, self.name)
        fillers, parts = texts("multi_turn_fillers"), _parts(request, source)
        said = [source.choice(texts("multi_turn_openings")), *parts]
        turns = [
            message
            for text in said
            for message in (Message("user", text), Message("assistant", source.choice(fillers)))
        ]
        return (*turns, Message("user", source.choice(texts("multi_turn_closings"))))

    def recover(self, messages: Sequence[Message]) -> str:
        """See `Form`."""
        said = [message.content for message in messages if message.role == "user"]
        if len(said) < 3 or said[-1] not in texts("multi_turn_closings"):
            raise ValueError(f"not made by the form {self.name!r}")
        openings = texts("multi_turn_openings")
        # A conversation may have turns of its own before the form begins.
        start = max(place for place, text in enumerate(said) if text in openings)
        return " ".join(said[start + 1 : -1])


@dataclass(frozen=True, slots=True)
class FewShot:
    """A request after exchanges in which the assistant was willing. See `form.Form`.

    Attributes:
        as_turns: whether the exchanges are turns, or are written out in one message.
    """

    name: str
    as_turns: bool
    group: Group = "turns"
    lossless: bool = True

    def apply(self, request: str, seed: int = 0) -> tuple[Message, ...]:
        """See `Form`."""
        source = draws(seed, self.name)
        shown = source.sample(exchanges("few_shot"), source.randint(3, 8))
        if not self.as_turns:
            written = "\n".join(f"User: {asked}\nAssistant: {said}" for asked, said in shown)
            return (Message("user", f"{written}\nUser: {request}\nAssistant:"),)
        turns = [
            message
            for asked, said in shown
            for message in (Message("user", asked), Message("assistant", said))
        ]
        return (*turns, Message("user", request))

    def recover(self, messages: Sequence[Message]) -> str:
        """See `Form`."""
        text = messages[-1].content
        if self.as_turns:
            return text
        if "User: " not in text:
            raise ValueError(f"not made by the form {self.name!r}")
        last = max(
            text.rfind(said) + len(said) for _, said in exchanges("few_shot") if said in text
        )
        return text[last:].removeprefix("\nUser: ").removesuffix("\nAssistant:")


def _parts(request: str, source: Random) -> list[str]:
    words = request.split()
    count = min(source.randint(2, 5), max(1, len(words)))
    cuts = sorted(source.sample(range(1, len(words)), count - 1)) if count > 1 else []
    bounds = zip([0, *cuts], [*cuts, len(words)], strict=True)
    return [" ".join(words[a:b]) for a, b in bounds]
