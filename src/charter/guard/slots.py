"""What has to be there for one category: its name and clauses, and the base prompts to come.

Owns which prompts at hand are taken, how many are made and in which way, and the key under which a
category's material is kept. Calls no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from charter.guard.examples import Label
from charter.guard.sources import Given
from charter.prompts.templates import templates_digest
from charter.records import Record, Sampling
from charter.seeds import derive, draws

TEMPLATES = ("guard_invent", "guard_paraphrase", "guard_translate")
_SHOWN = 4
"""Prompts shown when the generator is asked for another one."""
How = Literal["given", "invented", "paraphrase", "translation"]


class MaterialConfig(Record, frozen=True):
    """How much is made, and how the generator is sampled."""

    per_category: int = 24
    """Base prompts a category, the library's first."""
    answers: int = 1
    """Answers of the generator to each base prompt."""
    languages: tuple[str, ...] = ()
    """Languages that the generator can write; one base prompt in four is translated into each."""
    prompt: Sampling = Sampling(max_tokens=48, temperature=0.9, top_p=0.95)
    answer: Sampling = Sampling(max_tokens=64, temperature=0.8, top_p=0.95)


@dataclass(frozen=True, slots=True)
class Subject:
    """A category as its makers need it, or the pool, or a user's file.

    Attributes:
        name: of its folder.
        label: of the prompts that are made; given ones bring their own.
        category: id, "" for none.
        title: in a few words.
        text: what belongs to it.
        clauses: principles that a label rests on, by category id, or else by label.
    """

    name: str
    label: Label
    category: str
    title: str
    text: str
    clauses: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Slot:
    """One base prompt to come.

    Attributes:
        id: of the base.
        how: given, or how it is made.
        given: the prompt, or the one that it is a rewording of; None for an invented one.
        shown: texts that an invented one is modelled on.
        language: of a translation.
    """

    id: str
    how: How
    given: Given | None = None
    shown: tuple[str, ...] = ()
    language: str = ""


def slots(
    subject: Subject, given: Iterable[Given], config: MaterialConfig, seed: int, *, made: bool
) -> list[Slot]:
    """The base prompts of a category: given ones by a hash, then those to be made.

    Args:
        subject: the category.
        given: all prompts at hand for it.
        config: how many are wanted.
        seed: decides which ones are taken where there are more.
        made: whether there is a generator.
    """
    order = sorted(given, key=lambda g: derive(seed, subject.name, g.prompt.id))
    taken = order[: config.per_category]
    found = [Slot(g.prompt.id, "given", g) for g in taken]
    if not (made and taken):
        return found
    for number in range(config.per_category - len(taken)):
        # In turn, so that rewordings do not crowd out new matters.
        if number % 2 == 0:
            model = taken[(number // 2) % len(taken)]
            found.append(Slot(f"{subject.name}-reworded-{number:04}", "paraphrase", model))
        else:
            drawn = draws(seed, subject.name, "shown", number)
            texts = [g.prompt.messages[-1].content for g in taken]
            shown = tuple(drawn.sample(texts, min(_SHOWN, len(texts))))
            found.append(Slot(f"{subject.name}-invented-{number:04}", "invented", None, shown))
    for language in config.languages:
        for model in taken[: config.per_category // 4]:
            id = f"{model.prompt.id}-{language.casefold()}"
            found.append(Slot(id, "translation", model, language=language))
    return found


def asked(
    subject: Subject, wanted: Sequence[Slot], config: MaterialConfig, **more: Any
) -> dict[str, Any]:
    """What a category's material depends on: the key of its folder.

    Args:
        subject: the category.
        wanted: its base prompts.
        config: settings.
        more: digests of the clauses, names of models, the seed.
    """
    return {
        "subject": _fields(subject),
        "slots": [_fields(slot) for slot in wanted],
        "config": config,
        "templates": templates_digest(*TEMPLATES),
        **more,
    }


def _fields(record: Subject | Slot) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}
