"""`charter constitution lint`: every error of a document, and advice on one that has none.

Joins the checks; each kind of advice is a module of its own (`wording`, `likeness`, `balance`,
`usage`). Errors are what `document.load` would refuse, all of them in place of the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from charter.constitution import document as documents
from charter.constitution.balance import balance
from charter.constitution.checks import problems
from charter.constitution.clauses import Category, Change, Constitution, Principle
from charter.constitution.findings import Finding, Remark
from charter.constitution.formats.drafting import drafts
from charter.constitution.likeness import Embed, near_duplicates
from charter.constitution.overlay import OVERLAY_FORMAT
from charter.constitution.reading import Keys, Place, typed
from charter.constitution.usage import usage
from charter.constitution.wording import wording
from charter.errors import DocumentError

_PARTS: tuple[tuple[tuple[str, ...], type[msgspec.Struct]], ...] = (
    (("principles",), Principle),
    (("categories", "harmful"), Category),
    (("categories", "harmless"), Category),
    (("changelog",), Change),
)


def lint(
    source: str | Path, *, run: str | Path | None = None, embed: Embed | None = None
) -> list[Finding]:
    """Look a document through.

    Args:
        source: a file, or the name of a shipped document.
        run: a run folder; its records show which clauses were used, and which contradict.
        embed: compares clauses by meaning; by their letters without it.

    Returns:
        errors in the order of the file; or, if there is none, advice in that order.

    Raises:
        DocumentError: the file cannot be read at all.
        DataError: `run` is no run folder.
    """
    path = documents.locate(source)
    text = documents.contents(path)
    try:
        found = documents.read(source)
    except DocumentError as first:
        return list(_errors(text, path, first)) or [_error("schema", first)]
    document = found.document
    remarks: Iterable[Remark] = chain(
        drafts(document),
        wording(document),
        near_duplicates(document, embed=embed),
        balance(document),
        usage(document, run) if run is not None else (),
    )
    advice = [_placed(remark, found) for remark in remarks]
    order = {p.id: number for number, p in enumerate(document.principles)}
    return sorted(advice, key=lambda finding: order.get(finding.principle, -1))


def count(findings: Sequence[Finding]) -> dict[str, int]:
    """How many errors and how much advice."""
    errors = sum(finding.severity == "error" for finding in findings)
    return {"errors": errors, "advice": len(findings) - errors}


def _placed(remark: Remark, source: documents.Source) -> Finding:
    file, line = source.lines.get(remark.principle, (source.place.file, 1))
    return Finding(
        remark.code, "advice", file, line, remark.principle, remark.message, remark.evidence
    )


def _errors(text: str, path: Path, first: DocumentError) -> Iterator[Finding]:
    """All errors of a file, found part by part; nothing if it cannot be taken apart."""
    try:
        plain, place = documents.tree(text, str(path), markdown=documents.is_markdown(path))
    except DocumentError as error:
        yield _error("syntax", error)
        return
    if plain.get("format") == OVERLAY_FORMAT:
        yield _error("overlay", first)
        return
    broken = list(_broken_parts(plain, place))
    if broken:
        yield from broken
        return
    document = typed(plain, Constitution, place)
    for problem in problems(document):
        wrong = place.error(problem.says, problem.expected, problem.keys)
        yield _error(problem.code, wrong, _principle_at(plain, problem.keys))


def _broken_parts(plain: Any, place: Place) -> Iterator[Finding]:
    """Schema errors of each part, and of the rest without the parts."""
    rest = {**plain}
    for keys, kind in _PARTS:
        items = plain
        for key in keys:
            items = items.get(key, []) if isinstance(items, dict) else None
        if not isinstance(items, list):
            continue
        for index, item in enumerate(items):
            where: tuple[int | str, ...] = (*keys, index)
            wrong = _schema_error(item, kind, place, where)
            if wrong is not None:
                yield _error(_schema_code(wrong), wrong, _principle_at(plain, where))
        if keys[0] in rest:
            rest[keys[0]] = {} if keys[0] == "categories" else []
    wrong = _schema_error(rest, Constitution, place, ())
    if wrong is not None:
        yield _error(_schema_code(wrong), wrong)


def _schema_error(
    plain: Any, kind: type[msgspec.Struct], place: Place, under: Keys
) -> DocumentError | None:
    try:
        typed(plain, kind, place, under)
    except DocumentError as error:
        return error
    return None


def _schema_code(error: DocumentError) -> str:
    forms = ("`critique_request`", "`revision_request`", "`comparison_question`")
    missing = "missing required field" in error.problem
    return "missing-form" if missing and error.problem.endswith(forms) else "schema"


def _principle_at(plain: Any, keys: Keys) -> str:
    if len(keys) < 2 or keys[0] != "principles":
        return ""
    item = plain["principles"][int(keys[1])]
    return str(item.get("id", "")) if isinstance(item, dict) else ""


def _error(code: str, error: DocumentError, principle: str = "") -> Finding:
    expected = f" (expected {error.expected})" if error.expected else ""
    field = f"{error.field}: " if error.field else ""
    message = f"{field}{error.problem}{expected}"
    return Finding(code, "error", str(error.file), error.line or 1, principle, message)
