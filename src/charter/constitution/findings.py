"""What a lint run says: one finding each, with the place where it stands and what it rests on."""

from __future__ import annotations

from typing import Any, Literal

from charter.records import Record

Severity = Literal["error", "advice"]


class Finding(Record, frozen=True):
    """One thing to mend, or to think about.

    Attributes:
        code: a short name of the kind of finding; it does not change between versions.
        severity: an `error` makes the document unusable, `advice` does not.
        file: where it stands; the base's file if the clause comes from there.
        line: 1-based.
        principle: id of the clause, "" if it is about the whole document.
        message: what was found, and what helps.
        evidence: figures and rows that it rests on.
    """

    code: str
    severity: Severity
    file: str
    line: int
    principle: str
    message: str
    evidence: dict[str, Any] = {}


class Remark(Record, frozen=True):
    """Advice before it is known where the clause stands."""

    code: str
    principle: str
    message: str
    evidence: dict[str, Any] = {}
