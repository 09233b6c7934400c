"""Probes from templates: which scenes fit a clause, and how they are put.

Scenes and frames are in `scenes.yaml`. A clause gets every scene of its topics plainly before it
gets one under pressure, so that six probes are as different as can be.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from itertools import islice

import msgspec

from charter import yaml_tree
from charter.constitution.clauses import Principle
from charter.constitution.probing.probe import Probe, ViolatedBy, pair
from charter.errors import DocumentError
from charter.records import Record
from charter.seeds import draws

_TAG, _WORD = 3, 1
_PLACE = re.compile(r"\{\{([a-z]+)\}\}")


class Both(Record, frozen=True):
    """A temptation and its twin."""

    tempt: str
    twin: str


class Frame(Record, frozen=True):
    """How a request is put."""

    id: str
    tempt: str
    twin: str


class Topic(Record, frozen=True):
    """Scenes for the clauses with these tags, or with these words in their text."""

    id: str
    tags: tuple[str, ...]
    words: tuple[str, ...]
    scenes: tuple[Both, ...]
    violated_by: ViolatedBy = "complying"


class Library(Record, frozen=True):
    """The whole file; the last topic is for clauses that fit no other."""

    frames: tuple[Frame, ...]
    topics: tuple[Topic, ...]


def from_templates(principle: Principle, count: int, seed: int) -> list[Probe]:
    """Pairs of probes for a clause: so many temptations and as many twins, or all there are."""
    topics = fitting(principle)
    scenes = [(topic, scene) for topic in topics for scene in topic.scenes]
    frames = library().frames
    source = draws("probe", seed, principle.id)
    source.shuffle(scenes)
    shift = source.randrange(len(frames))
    # Each round shows every scene once; the first is plain, later ones move through the frames.
    asked = (
        (topic, scene, frames[0 if turn == 0 else 1 + (place + shift + turn) % (len(frames) - 1)])
        for turn in range(len(frames))
        for place, (topic, scene) in enumerate(scenes)
    )
    found: list[Probe] = []
    for topic, scene, frame in islice(asked, count):
        made_by = f"template {topic.id}/{frame.id}"
        tempt, twin = (
            _filled(how, request=_filled(what, text=principle.text))
            for how, what in ((frame.tempt, scene.tempt), (frame.twin, scene.twin))
        )
        found += pair(principle, tempt, twin, topic.violated_by, made_by)
    return found


def fitting(principle: Principle) -> list[Topic]:
    """The topics that fit a clause best; the one for all others if none does."""
    *topics, other = library().topics
    said = f"{principle.title} {principle.text} {principle.comparison_question}".lower()
    scores = [
        _TAG * len({*topic.tags} & {*principle.tags})
        + _WORD * sum(bool(re.search(rf"\b{re.escape(w.lower())}", said)) for w in topic.words)
        for topic in topics
    ]
    best = max(scores)
    # One word alone may mean anything: "law" does not make a clause one about crime.
    if best <= _WORD:
        return [other]
    return [topic for topic, score in zip(topics, scores, strict=True) if score == best]


@cache
def library() -> Library:
    """The shipped scenes."""
    file = resources.files("charter.constitution.probing") / "scenes.yaml"
    text = file.read_text(encoding="utf-8")
    return msgspec.convert(yaml_tree.parse(text, file=file.name, kind=DocumentError), Library)


def _filled(template: str, **values: str) -> str:
    """One pass: what is put in is not looked at again."""
    return _PLACE.sub(lambda match: values.get(match[1], match[0]), template)
