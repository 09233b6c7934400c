"""From material to rows: which base prompt is shown in which form. Pure, and so free of charge.

Owns the balance. Every harmful base gets some forms in turn; each of these jobs has a twin: a
harmless base in the same form with the same frame. So, on each side of the split, harmful and
harmless rows have every form equally often, and a form by itself says nothing about the label.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from charter.guard.examples import GuardExample, Label, LabelledAnswer, Material
from charter.guard.forms.catalogue import PLAIN
from charter.guard.forms.form import Form, dressed
from charter.guard.frames import long_frames
from charter.records import Message, Origin, Split
from charter.seeds import derive, draws

STAGE = "examples"
SETUP = "setup"
"""Form of rows that hold a long set-up alone, with nothing asked yet."""


class Base(NamedTuple):
    """What the plan needs to know of a material."""

    id: str
    label: Label
    group: str
    """Category, or the part of the pool."""
    split: Split


class Job(NamedTuple):
    """One form for one base; two jobs with one form and seed are twins."""

    form: str
    seed: int


Plan = dict[str, list[Job]]
"""Jobs by base id."""


def base_of(material: Material) -> Base:
    """The part of a material that the plan looks at."""
    group = material.category or f"pool/{material.prompt.kind}"
    return Base(material.id, material.label, group, material.prompt.split)


def plan(bases: Iterable[Base], forms: Sequence[str], each: int, seed: int) -> Plan:
    """Forms for every base.

    Args:
        bases: all that are kept.
        forms: names of forms.
        each: forms a harmful base.
        seed: decides the frames, and where the turns begin.
    """
    sides: dict[tuple[Split, Label], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for base in bases:
        sides[base.split, base.label][base.group].append(base.id)
    found: Plan = defaultdict(list)
    for split in ("train", "eval"):
        harmful, harmless = sides[split, "harmful"], sides[split, "harmless"]
        if harmful and harmless:
            _twins(found, harmful, harmless, forms, each, seed)
    return found


def _twins(
    found: Plan,
    harmful: dict[str, list[str]],
    harmless: dict[str, list[str]],
    forms: Sequence[str],
    each: int,
    seed: int,
) -> None:
    """Jobs of one side of the split, added to `found`."""
    counts: dict[str, int] = defaultdict(int)
    others = _in_turn(harmless, seed)
    for group, ids in sorted(harmful.items()):
        start = derive(seed, "first form", group) % len(forms)
        for place, id in enumerate(ids):
            for number in range(min(each, len(forms))):
                form = forms[(start + place * each + number) % len(forms)]
                job = Job(form, derive(seed, "frame", form, counts[form]))
                counts[form] += 1
                found[id].append(job)
    for form, count in sorted(counts.items()):
        for number in range(count):
            found[next(others)].append(Job(form, derive(seed, "frame", form, number)))


def _in_turn(groups: dict[str, list[str]], seed: int) -> Iterator[str]:
    """Ids without end: one of each group in turn, so that groups have equal shares."""
    orders = [
        sorted(ids, key=lambda id: derive(seed, "twin", id)) for _, ids in sorted(groups.items())
    ]
    place = 0
    while True:
        for ids in orders:
            yield ids[place % len(ids)]
        place += 1


def rows(
    material: Material, jobs: Sequence[Job], forms: dict[str, Form], origin: Origin
) -> Iterator[GuardExample]:
    """Every row of one material: as it stands, in its forms, and with each answer.

    Args:
        material: prompt and answers.
        jobs: its forms.
        forms: by name.
        origin: of the rows; the material's own model and sampling are put in.
    """
    turns = material.prompt.messages
    yield _row(material, PLAIN, turns, None, 0, origin)
    for number, job in enumerate(jobs):
        worn = dressed(forms[job.form], turns, job.seed)
        yield _row(material, job.form, worn, None, number, origin)
    for number, answer in enumerate(material.answers):
        yield _row(material, PLAIN, turns, answer, number, origin)


def _row(
    material: Material,
    form: str,
    turns: tuple[Message, ...],
    answer: LabelledAnswer | None,
    number: int,
    origin: Origin,
) -> GuardExample:
    part = "answer" if answer else form
    return GuardExample(
        f"{material.id}/{part}/{number}",
        turns,
        answer.text if answer else "",
        answer.label if answer else material.label,
        material.category,
        material.clauses,
        form,
        material.id,
        material.prompt.split,
        material.source,
        Origin(
            origin.stage,
            material.origin.model,
            material.origin.constitution,
            material.origin.template,
            material.origin.sampling,
            origin.seed,
        ),
    )


def setups(count: int, clauses: tuple[str, ...], origin: Origin) -> Iterator[GuardExample]:
    """Long set-ups that drop all rules before anything is asked; harmful, and for training only.

    Their harmless counterparts are the long role-plays of the pool. They all share a few parts, so
    none may stand on the other side of a split.
    """
    frames = long_frames()
    for number in range(count):
        text = frames.opening(draws(origin.seed, SETUP, number))
        turns = (Message("user", text),)
        id = f"{SETUP}-{number:04}"
        yield GuardExample(
            f"{id}/{SETUP}/0", turns, "", "harmful", "", clauses, SETUP, id, "train", "library",
            origin,
        )  # fmt: skip
