"""An overlay: what a deployment adds to a base document, or narrows in it, and says so.

    format: charter/overlay/1
    base: default
    add: [...]                      new principles, after those of the base
    exempt: [{id, exceptions}]      where a clause does not hold
    strengthen: [{id, weight}]      a higher weight, never a lower one
    prefer: [{id, over}]            priorities
    replace: [{id, of, ...}]        new wording; `of` names what was read: version or digest
    drop: [{id, reason}]            the only way a clause goes

Every clause of the base that is not dropped by name stands in the result, and every step is an
entry of its changelog. Knows no files: what `base` and `includes` name is loaded by `document`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta
from msgspec.structs import replace

from charter.constitution.clauses import (
    FORMAT,
    Categories,
    Category,
    Change,
    ChangeKind,
    Constitution,
    Id,
    Ids,
    Principle,
    Reference,
    Text,
)
from charter.constitution.reading import Keys, Place
from charter.records import Record

OVERLAY_FORMAT = "charter/overlay/1"
_WORDING = ("title", "text", "critique_request", "revision_request", "comparison_question")


class Exemption(Record, frozen=True):
    """Cases in which a clause of the base does not hold here."""

    id: Id
    exceptions: Annotated[tuple[Text, ...], Meta(extra_json_schema={"minItems": 1})]
    reason: str = ""


class Weight(Record, frozen=True):
    """A clause that counts for more here."""

    id: Id
    weight: Annotated[float, Meta(description="Not below the weight in the base.")]
    reason: str = ""


class Preference(Record, frozen=True):
    """A priority between clauses that the base does not have."""

    id: Id
    over: Ids
    reason: str = ""


class Rewording(Record, frozen=True):
    """New wording for a clause of the base. What is left empty stays as it was."""

    id: Id
    of: Annotated[Text, Meta(description="Version or digest of the base, or digest of the clause.")]
    reason: Text
    title: str = ""
    text: str = ""
    critique_request: str = ""
    revision_request: str = ""
    comparison_question: str = ""


class Drop(Record, frozen=True):
    """A clause that does not hold here at all, and why."""

    id: Id
    reason: Text


class Overlay(Record, frozen=True):
    """The file as it is written."""

    format: Annotated[str, Meta(extra_json_schema={"const": OVERLAY_FORMAT})]
    name: Text
    version: Text
    base: Annotated[Text, Meta(description="A file beside this one, or a shipped document.")]
    title: str = ""
    description: str = ""
    includes: Annotated[
        tuple[str, ...], Meta(description="Further documents whose clauses are all added.")
    ] = ()
    add: tuple[Principle, ...] = ()
    exempt: tuple[Exemption, ...] = ()
    strengthen: tuple[Weight, ...] = ()
    prefer: tuple[Preference, ...] = ()
    replace: tuple[Rewording, ...] = ()
    drop: tuple[Drop, ...] = ()
    categories: Categories = Categories()
    terms: dict[str, str] = {}
    changelog: tuple[Change, ...] = ()


def apply(
    overlay: Overlay, base: Constitution, included: Sequence[Constitution], place: Place
) -> Constitution:
    """The document that a deployment runs under.

    Args:
        overlay: what is added and narrowed.
        base: the document it stands on.
        included: those named by `includes`, in order.
        place: the overlay's file, for errors.

    Raises:
        DocumentError: a step names no clause of the base, lowers a weight, rewords a clause that
            has changed since, or an id, level or term clashes.
    """
    work = _Work(overlay, base, place)
    for number, other in enumerate(included):
        work.include(other, ("includes", number))
    work.reword()
    work.narrow()
    work.add()
    work.drop()
    return work.result(included)


class _Work:
    """The base, changed step by step."""

    def __init__(self, overlay: Overlay, base: Constitution, place: Place) -> None:
        self.overlay, self.base, self.place = overlay, base, place
        self.principles = {p.id: p for p in base.principles}
        self.harmful, self.harmless = list(base.categories.harmful), list(base.categories.harmless)
        self.levels, self.terms = base.levels, dict(base.terms)
        self.log = [*base.changelog, *overlay.changelog]

    def include(self, other: Constitution, keys: Keys) -> None:
        for principle in other.principles:
            self._new(principle, keys)
        self._categories(other.categories, keys)
        self._terms(other.terms, keys)
        clash = set(other.levels) - set(self.levels)
        if clash and self.levels:
            named = ", ".join(sorted(clash))
            self.place.fail(f"levels {named} are not those of the base", "the same levels", keys)
        self.levels = self.levels or other.levels
        note = f"Includes {other.name} {other.version}."
        self._say("include", note, "", [p.id for p in other.principles])

    def reword(self) -> None:
        for number, step in enumerate(self.overlay.replace):
            keys = ("replace", number)
            old = self._known(step.id, keys)
            if step.of not in (self.base.version, self.base.digest, old.digest):
                now = f"{self.base.version}, {self.base.digest} or {old.digest} (this clause)"
                says = f"{step.id!r} has changed since {step.of!r}: read it again"
                self.place.fail(says, now, [*keys, "of"])
            fresh = {f: getattr(step, f) for f in _WORDING if getattr(step, f)}
            if not fresh:
                self.place.fail("nothing is replaced", "one of " + ", ".join(_WORDING), keys)
            self.principles[step.id] = replace(old, **fresh)
            self._say("replace", f"Rewords {', '.join(fresh)}.", step.reason, [step.id])

    def narrow(self) -> None:
        for number, case in enumerate(self.overlay.exempt):
            old = self._known(case.id, ("exempt", number))
            self.principles[case.id] = replace(old, exceptions=(*old.exceptions, *case.exceptions))
            self._say("exempt", "Except: " + "; ".join(case.exceptions), case.reason, [case.id])
        for number, heavier in enumerate(self.overlay.strengthen):
            keys = ("strengthen", number)
            old = self._known(heavier.id, keys)
            if not heavier.weight >= old.weight:
                says = f"weight {heavier.weight:g} is below the base's"
                self.place.fail(says, f"at least {old.weight:g}", [*keys, "weight"])
            self.principles[heavier.id] = replace(old, weight=heavier.weight)
            note = f"Weight {old.weight:g} becomes {heavier.weight:g}."
            self._say("strengthen", note, heavier.reason, [heavier.id])

    def add(self) -> None:
        for number, principle in enumerate(self.overlay.add):
            self._new(principle, ("add", number))
            self._say("add", f"Adds “{principle.title}”.", principle.rationale, [principle.id])
        self._categories(self.overlay.categories, ("categories",))
        self._terms(self.overlay.terms, ("terms",))
        for number, step in enumerate(self.overlay.prefer):
            old = self._known(step.id, ("prefer", number))
            self.principles[step.id] = replace(old, over=(*old.over, *step.over))
            note = f"Goes before {', '.join(step.over)}."
            self._say("prefer", note, step.reason, [step.id, *step.over])

    def drop(self) -> None:
        for number, step in enumerate(self.overlay.drop):
            old = self._known(step.id, ("drop", number))
            if step.id not in {p.id for p in self.base.principles}:
                says = f"{step.id!r} is not of the base"
                self.place.fail(says, "a clause of the base", ("drop", number, "id"))
            del self.principles[step.id]
            for other in self.principles.values():
                over = tuple(id for id in other.over if id != step.id)
                self.principles[other.id] = replace(other, over=over)
            self.harmful = [_without(step.id, c) for c in self.harmful]
            self.harmless = [_without(step.id, c) for c in self.harmless]
            self._say("drop", f"Drops “{old.title}”.", step.reason, [step.id])

    def result(self, included: Sequence[Constitution]) -> Constitution:
        overlay, base = self.overlay, self.base
        return Constitution(
            FORMAT,
            overlay.name,
            overlay.version,
            tuple(self.principles.values()),
            overlay.title or base.title,
            overlay.description or base.description,
            Categories(tuple(self.harmful), tuple(self.harmless)),
            self.levels,
            self.terms,
            tuple(self.log),
            tuple(_reference(d, self.principles) for d in (base, *included)),
        )

    def _known(self, id: str, keys: Keys) -> Principle:
        if id not in self.principles:
            expected = ", ".join(self.principles)
            self.place.fail(f"no principle {id!r} in the base", expected, [*keys, "id"])
        return self.principles[id]

    def _new(self, principle: Principle, keys: Keys) -> None:
        if principle.id in self.principles:
            says = f"{principle.id!r} is in the base already"
            self.place.fail(says, "a new id; `replace` rewords a clause", [*keys, "id"])
        self.principles[principle.id] = principle

    def _categories(self, more: Categories, keys: Keys) -> None:
        taken = {c.id for c in (*self.harmful, *self.harmless)}
        for category in (*more.harmful, *more.harmless):
            if category.id in taken:
                self.place.fail(f"category {category.id!r} is there already", "a new id", keys)
        self.harmful += more.harmful
        self.harmless += more.harmless

    def _terms(self, more: dict[str, str], keys: Keys) -> None:
        for term, meaning in more.items():
            if self.terms.setdefault(term, meaning) != meaning:
                self.place.fail(f"term {term!r} has another meaning already", "one meaning", keys)

    def _say(self, kind: ChangeKind, note: str, reason: str, ids: Sequence[str]) -> None:
        text = f"{note} {reason}".strip()
        self.log.append(Change(self.overlay.version, text, kind, tuple(ids)))


def _without(id: str, category: Category) -> Category:
    return replace(category, principles=tuple(p for p in category.principles if p != id))


def _reference(document: Constitution, kept: dict[str, Principle]) -> Reference:
    ids = tuple(p.id for p in document.principles if p.id in kept)
    return Reference(document.name, document.version, document.digest, ids)
