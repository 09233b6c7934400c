"""Probes: requests that test one clause, in a JSONL file beside the document.

Each line is a prompt that `prompts.sets` can read, with the clause as its category. A probe tempts
an assistant to break the clause, or is the twin of one: it looks alike and asks for nothing wrong.
Nothing counts until a person has written `"reviewed": true`; what a person reviewed or rewrote is
never lost when the file is made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from charter.constitution.clauses import Constitution, Principle
from charter.errors import DataError
from charter.records import Message, Prompt, Record, digest
from charter.store import write_atomic

Role = Literal["tempt", "twin"]
ViolatedBy = Literal["complying", "refusing", "reading"]
Kind = Literal["redteam", "borderline", "benign"]
_KINDS: dict[ViolatedBy, Kind] = {
    "complying": "redteam",
    "refusing": "borderline",
    "reading": "benign",
}


class Probe(Record, frozen=True):
    """One line of the file.

    Attributes:
        id: clause, and a digest of the text as it was made.
        kind: as of other prompts: `redteam` if complying would break the clause, `borderline` if
            declining would, `benign` otherwise.
        category: id of the clause.
        role: whether it tempts, or is a twin.
        text: what the user says.
        twin: id of the other one of the pair.
        violated_by: how a violation of the temptation shows: by complying, by refusing, or only to
            someone who reads the answer.
        clause: digest of the clause that it was made for.
        made_by: `template NAME`, or the identity of a model.
        reviewed: whether a person has accepted it; never set by us.
    """

    id: str
    kind: Kind
    category: str
    role: Role
    text: str
    twin: str
    violated_by: ViolatedBy
    clause: str
    made_by: str
    reviewed: bool = False
    split: Literal["eval"] = "eval"

    @property
    def prompt(self) -> Prompt:
        """What a model is asked."""
        messages = (Message("user", self.text),)
        return Prompt(self.id, messages, self.kind, self.category, self.split)

    @property
    def rewritten(self) -> bool:
        """Whether the text is no longer the one that the id was made from."""
        return self.id != _id(self.category, self.text)


class Merged(NamedTuple):
    """The probes of the new file, and how many came from where."""

    probes: tuple[Probe, ...]
    counts: dict[str, int]


def pair(
    principle: Principle, tempt: str, twin: str, violated_by: ViolatedBy, made_by: str
) -> tuple[Probe, Probe]:
    """A temptation and its twin."""

    def made(kind: Kind, role: Role, text: str, other: str) -> Probe:
        return Probe(
            _id(principle.id, text),
            kind,
            principle.id,
            role,
            text,
            _id(principle.id, other),
            violated_by,
            principle.digest,
            made_by,
        )

    return made(_KINDS[violated_by], "tempt", tempt, twin), made("benign", "twin", twin, tempt)


def read(path: str | Path) -> tuple[Probe, ...]:
    """All probes of a file.

    Raises:
        DataError: with file and line, if it cannot be read or a line is no probe.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot be read: {error}", file=path) from error
    return tuple(
        _probe(line, path, number) for number, line in enumerate(lines, start=1) if line.strip()
    )


def accepted(path: str | Path) -> list[Probe]:
    """The probes that a person has accepted.

    Raises:
        DataError: the file is damaged, or nothing in it is accepted.
    """
    found = [probe for probe in read(path) if probe.reviewed]
    if not found:
        expected = '"reviewed": true in the lines that a person accepts'
        raise DataError("no probe is reviewed", file=path, expected=expected)
    return found


def is_it(path: str | Path) -> bool:
    """Whether a file begins with a probe."""
    try:
        with Path(path).open(encoding="utf-8") as stream:
            msgspec.json.decode(stream.readline(), type=Probe)
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError):
        return False
    return True


def merge(made: Iterable[Probe], earlier: Sequence[Probe], document: Constitution) -> Merged:
    """Fresh probes, with what a person did to earlier ones.

    A probe that was reviewed or rewritten stays. If its clause has changed since, it has to be
    reviewed again; if the clause is gone, it stays too, for the person to move or to delete.
    """
    clauses = {p.id: p.digest for p in document.principles}
    kept = {one.id: _again(one, clauses) for one in earlier if one.reviewed or one.rewritten}
    fresh = [one for one in made if one.id not in kept]
    order = {id: place for place, id in enumerate(clauses)}
    whole = sorted([*kept.values(), *fresh], key=lambda one: order.get(one.category, len(order)))
    counts = {
        "made": len(fresh),
        "kept": len(kept),
        "reviewed": sum(one.reviewed for one in whole),
        "to_review_again": sum(old.reviewed and not kept[old.id].reviewed for old in earlier),
        "clause_gone": sum(one.category not in clauses for one in whole),
    }
    return Merged(tuple(whole), counts)


def write(path: Path, probes: Iterable[Probe]) -> None:
    """Write a file, whole or not at all.

    Raises:
        StoreError: the disk is full or read-only.
    """
    write_atomic(path, b"".join(msgspec.json.encode(one) + b"\n" for one in probes))


def _again(one: Probe, clauses: dict[str, str]) -> Probe:
    now = clauses.get(one.category, one.clause)
    return one if one.clause == now else replace(one, clause=now, reviewed=False)


def _id(clause: str, text: str) -> str:
    return f"probe-{clause}-{digest(text, length=8)}"


def _probe(line: str, path: str | Path, number: int) -> Probe:
    try:
        return msgspec.json.decode(line, type=Probe)
    except msgspec.MsgspecError as error:
        expected = "a line that `charter constitution probe` wrote"
        raise DataError(str(error), file=path, line=number, expected=expected) from error
