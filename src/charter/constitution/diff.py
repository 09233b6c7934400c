"""What changed between two documents, principle by principle.

Owns which clause of one document is which of the other, and the names of the changes. What depends
on a change is `dependence`'s business.
"""

from __future__ import annotations

import difflib
import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Literal

from msgspec.structs import fields

from charter.constitution.clauses import Category, Constitution, Principle
from charter.records import Record

Kind = Literal[
    "added",
    "dropped",
    "renamed",
    "moved",
    "reworded",
    "exceptions",
    "priority",
    "weight",
    "tags",
    "notes",
]
"""`priority` is `over` and `level`; `notes` are fields that no model and no draw depends on."""

_KINDS: dict[str, Kind] = {
    "title": "notes",
    "text": "reworded",
    "critique_request": "reworded",
    "revision_request": "reworded",
    "comparison_question": "reworded",
    "weight": "weight",
    "tags": "tags",
    "over": "priority",
    "level": "priority",
    "exceptions": "exceptions",
    "rationale": "notes",
    "source": "notes",
    "examples": "notes",
    "span": "notes",
}


class Words(Record, frozen=True):
    """A run of words that is in both texts (`=`), in the old one (`-`) or in the new one (`+`)."""

    op: Literal["=", "-", "+"]
    text: str


class FieldChange(Record, frozen=True):
    """One field before and after; `words` for texts."""

    field: str
    before: Any
    after: Any
    words: tuple[Words, ...] = ()


class PrincipleChange(Record, frozen=True):
    """Everything that changed about one clause.

    Attributes:
        id: in the new document; in the old one if it was dropped.
        title: as there.
        kinds: what happened, in the order of `Kind`.
        old_id: id in the old document, "" if it was added.
        fields: what changed inside.
        before: 1-based place in the old document, None if it was added.
        after: the same in the new one, None if it was dropped.
    """

    id: str
    title: str
    kinds: tuple[Kind, ...]
    old_id: str
    fields: tuple[FieldChange, ...] = ()
    before: int | None = None
    after: int | None = None


class CategoryChange(Record, frozen=True):
    """A category that was added, dropped, changed, or went to the other half."""

    id: str
    half: Literal["harmful", "harmless"]
    kind: Literal["added", "dropped", "changed", "other half"]
    fields: tuple[FieldChange, ...] = ()


class Side(Record, frozen=True):
    """One of the two documents."""

    name: str
    version: str
    digest: str


class Diff(Record, frozen=True):
    """The whole difference; unchanged clauses are counted, not listed."""

    a: Side
    b: Side
    principles: tuple[PrincipleChange, ...]
    categories: tuple[CategoryChange, ...]
    document: tuple[FieldChange, ...]
    unchanged: int

    def of_kind(self, *kinds: Kind) -> tuple[PrincipleChange, ...]:
        """Changes of clauses that are of one of these kinds."""
        return tuple(change for change in self.principles if set(kinds) & set(change.kinds))


def diff(a: Constitution, b: Constitution) -> Diff:
    """What changed from `a` to `b`, in the order of `b`, with dropped clauses after it."""
    old_of = _pairing(a, b)
    moved = _moved([p.id for p in a.principles], [old_of.get(p.id, "") for p in b.principles])
    places = {p.id: number for number, p in enumerate(a.principles, start=1)}
    changes = [
        _change(a, p, old_of.get(p.id), places, number, moved)
        for number, p in enumerate(b.principles, start=1)
    ]
    kept = set(old_of.values())
    dropped = [
        PrincipleChange(p.id, p.title, ("dropped",), p.id, (), places[p.id])
        for p in a.principles
        if p.id not in kept
    ]
    real = [change for change in (*changes, *dropped) if change.kinds]
    return Diff(
        Side(a.name, a.version, a.digest),
        Side(b.name, b.version, b.digest),
        tuple(real),
        tuple(_categories(a, b)),
        tuple(_fields(a, b, ("name", "version", "title", "description", "levels", "terms"))),
        len(changes) + len(dropped) - len(real),
    )


def word_diff(before: str, after: str) -> tuple[Words, ...]:
    """The two texts as runs of words; the new text is the `=` and `+` runs put together."""
    old, new = _words(before), _words(after)
    runs: list[Words] = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            runs.append(Words("=", "".join(old[i1:i2])))
            continue
        if i2 > i1:
            runs.append(Words("-", "".join(old[i1:i2])))
        if j2 > j1:
            runs.append(Words("+", "".join(new[j1:j2])))
    return tuple(runs)


def _words(text: str) -> list[str]:
    return re.findall(r"\s+|\w+|[^\w\s]", text)


def _pairing(a: Constitution, b: Constitution) -> dict[str, str]:
    """Id in `b` → id in `a`: the same id, or else the same wording under another one."""
    old, new = {p.id: p for p in a.principles}, {p.id: p for p in b.principles}
    pairs = {id: id for id in new if id in old}
    free = {p.digest: p.id for p in a.principles if p.id not in new}
    for principle in b.principles:
        if principle.id not in pairs and principle.digest in free:
            pairs[principle.id] = free.pop(principle.digest)
    return pairs


def _moved(before: Sequence[str], after: Sequence[str]) -> set[str]:
    """Clauses that changed places: those outside a longest run that kept its order.

    An insertion shifts numbers and moves nothing.
    """
    place = {id: number for number, id in enumerate(before)}
    both = [id for id in after if id in place]
    tails: list[int] = []
    ends: list[int] = []
    back: list[int] = []
    for at, id in enumerate(both):
        spot = bisect_left(tails, place[id])
        back.append(ends[spot - 1] if spot else -1)
        tails[spot : spot + 1], ends[spot : spot + 1] = [place[id]], [at]
    kept: set[str] = set()
    at = ends[-1] if ends else -1
    while at >= 0:
        kept.add(both[at])
        at = back[at]
    return set(both) - kept


def _change(
    a: Constitution,
    new: Principle,
    old_id: str | None,
    places: dict[str, int],
    number: int,
    moved: set[str],
) -> PrincipleChange:
    if old_id is None:
        return PrincipleChange(new.id, new.title, ("added",), "", (), None, number)
    found = tuple(_fields(a.principle(old_id), new, tuple(_KINDS)))
    kinds: list[Kind] = ["renamed"] if old_id != new.id else []
    kinds += ["moved"] if old_id in moved else []
    kinds += dict.fromkeys(_KINDS[change.field] for change in found)
    return PrincipleChange(new.id, new.title, tuple(kinds), old_id, found, places[old_id], number)


def _fields(before: Record, after: Record, names: Sequence[str]) -> list[FieldChange]:
    pairs = [(name, getattr(before, name), getattr(after, name)) for name in names]
    return [
        FieldChange(name, old, new, _words_of(old, new)) for name, old, new in pairs if old != new
    ]


def _words_of(old: Any, new: Any) -> tuple[Words, ...]:
    return word_diff(old, new) if isinstance(old, str) and isinstance(new, str) else ()


def _categories(a: Constitution, b: Constitution) -> list[CategoryChange]:
    before, after = _halves(a), _halves(b)
    changes = []
    for id, (half, category) in after.items():
        if id not in before:
            changes.append(CategoryChange(id, half, "added"))
            continue
        old_half, old = before[id]
        found = tuple(_fields(old, category, [f.name for f in fields(Category)]))
        if old_half != half:
            changes.append(CategoryChange(id, half, "other half", found))
        elif found:
            changes.append(CategoryChange(id, half, "changed", found))
    gone = [(id, half) for id, (half, _) in before.items() if id not in after]
    return [*changes, *(CategoryChange(id, half, "dropped") for id, half in gone)]


def _halves(
    document: Constitution,
) -> dict[str, tuple[Literal["harmful", "harmless"], Category]]:
    halves = document.categories
    return {
        **{c.id: ("harmful", c) for c in halves.harmful},
        **{c.id: ("harmless", c) for c in halves.harmless},
    }
