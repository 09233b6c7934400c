"""Under which views a conversation is scored. The highest score counts.

Owns cutting and choosing: the conversation as a whole, made readable; then what could hide in it: a
decoded request by itself, the last turn without what was said before, the user's turns put
together, and every part of a long text. Each view is a short conversation, so a classifier that
learned from short ones can read it. Costs little: most conversations have one view.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from charter.guard.readable import hidden, readable
from charter.records import Message, Record

Conversation = tuple[Message, ...]


class ViewSettings(Record, frozen=True):
    """How much of a conversation one view holds. In characters."""

    longest: int = 3000
    """Of one view."""
    overlap: int = 300
    """Of the parts that a long text is cut into."""
    most: int = 64
    """Views of a conversation; the middle of a still longer one is not looked at by itself."""


def views(messages: Sequence[Message], settings: ViewSettings | None = None) -> list[Conversation]:
    """Every view, the first one being the conversation that an answer continues.

    Args:
        messages: at least one.
        settings: lengths.
    """
    chosen = settings or ViewSettings()
    read = tuple(Message(m.role, readable(m.content)) for m in messages)
    found = dict.fromkeys([shortened(read, chosen.longest), *_more(messages, read, chosen)])
    every = list(found)
    half = chosen.most // 2
    return every if len(every) <= chosen.most else [*every[:half], *every[-half:]]


def shortened(messages: Conversation, longest: int) -> Conversation:
    """The end of a conversation: whole turns as far as they fit, and the end of one that does not.

    The system's message, which stands first, is the first to be cut.
    """
    kept: list[Message] = []
    room = longest
    for message in reversed(messages):
        text = message.content[-room:] if len(message.content) > room else message.content
        kept.append(Message(message.role, text))
        room -= len(text)
        if room <= 0:
            break
    return tuple(reversed(kept))


def _more(
    messages: Sequence[Message], read: Conversation, settings: ViewSettings
) -> Iterator[Conversation]:
    said = [m.content for m in read if m.role == "user"]
    if len(said) > 1:
        yield _alone(said[-1][-settings.longest :])
        yield _alone(" ".join(said)[-settings.longest :])
    elif said and len(read) > 1:
        yield _alone(said[-1][-settings.longest :])
    for message in messages:
        if message.role != "system":
            yield from map(_alone, hidden(message.content))
    if sum(len(m.content) for m in read) > settings.longest:
        for message in read:
            yield from map(_alone, parts(message.content, settings))


def parts(text: str, settings: ViewSettings) -> list[str]:
    """A text in overlapping parts, none longer than a view."""
    step = settings.longest - settings.overlap
    return [
        text[start : start + settings.longest]
        for start in range(0, max(1, len(text) - settings.overlap), step)
        if text.strip()
    ]


def _alone(text: str) -> Conversation:
    return (Message("user", text),)
