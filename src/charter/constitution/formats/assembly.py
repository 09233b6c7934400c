"""From what an importer found to a checked document: ids, titles, drafted forms, provenance.

Owns what every imported document has in common. A mistake is reported at the line of the clause.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from charter.constitution.checks import problems
from charter.constitution.clauses import FORMAT, Constitution
from charter.constitution.formats.drafting import completed
from charter.constitution.formats.given import Found, Given, slug
from charter.constitution.reading import Keys, Place, Tidy, tidy_line, typed

VERSION = "0.1.0-draft"


def assemble(found: Found, given: Given, format_: str) -> Constitution:
    """The document.

    Raises:
        DocumentError: nothing was found, or it does not hold together; with file and line.
    """
    if not found.clauses:
        given.fail("no principle was found", 1, f"a file of the format {format_}")
    lines = [clause.line for clause in found.clauses]
    place = Place(given.file, lambda keys: _line(keys, lines))
    principles = [completed(_one_line(clause.fields)) for clause in found.clauses]
    _give_ids(principles)
    head = {key: value for key, value in found.head.items() if value}
    version = head.pop("version", VERSION)
    written = {
        "format": FORMAT,
        "name": head.pop("name", "") or slug(Path(given.file).stem) or "imported",
        "version": version,
        **head,
        "principles": principles,
        "changelog": [*head.get("changelog", ()), _imported(given, format_, version)],
        "made_from": [_reference(given, principles)],
    }
    document = typed(Tidy(place)(written), Constitution, place)
    for problem in problems(document):
        place.fail(problem.says, problem.expected, problem.keys)
    return document


def _one_line(fields: dict[str, Any]) -> dict[str, Any]:
    """Texts that have to be one line are made so before a form is drafted from them."""
    kept = ("text", "rationale")
    return {
        key: tidy_line(value) if isinstance(value, str) and key not in kept else value
        for key, value in fields.items()
    }


def _give_ids(principles: list[dict[str, Any]]) -> None:
    """Ids for those that bring none, from their titles; a number tells equal ones apart."""
    taken = {fields["id"] for fields in principles if fields.get("id")}
    for number, fields in enumerate(principles, start=1):
        if not fields.get("id"):
            base = slug(fields["title"]) or f"clause-{number}"
            free, count = base, 1
            while free in taken:
                count += 1
                free = f"{base}-{count}"
            fields["id"] = free
            taken.add(free)


def _imported(given: Given, format_: str, version: str) -> dict[str, str]:
    note = f"Imported from {given.name} ({format_}, sha256 {given.digest})."
    return {"version": version, "note": note}


def _reference(given: Given, principles: list[dict[str, Any]]) -> dict[str, Any]:
    """The text that the spans point into."""
    ids = [fields["id"] for fields in principles]
    return {"name": given.name, "version": "", "digest": given.digest, "principles": ids}


def _line(keys: Keys, lines: list[int]) -> int:
    index = keys[1] if len(keys) > 1 and keys[0] == "principles" else 0
    return lines[index] if isinstance(index, int) else 1
