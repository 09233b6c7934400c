"""Importing a constitution from a file of another project: which format it is, then its reader.

Owns the list of formats and how they are told apart, by content alone: a file's name says little.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from charter.constitution import document as documents
from charter.constitution.clauses import FORMAT, Constitution
from charter.constitution.formats import (
    bai,
    evals_json,
    llm_swarm,
    model_spec,
    plain_list,
    principles_of_pairs,
    proposals,
    prose,
    spec_examples,
)
from charter.constitution.formats.assembly import assemble
from charter.constitution.formats.drafting import DRAFT
from charter.constitution.formats.given import Found, Given, open_file
from charter.constitution.formats.json_text import JsonText
from charter.constitution.formats.sections import sections
from charter.constitution.overlay import OVERLAY_FORMAT
from charter.errors import DocumentError

_JSON: dict[str, tuple[Callable[[object], bool], Callable[[JsonText], Found]]] = {
    "llm-swarm": (llm_swarm.is_it, llm_swarm.read),
    "annotated-pairs": (principles_of_pairs.is_it, principles_of_pairs.read),
    "constitutional-evals": (evals_json.is_it, evals_json.read),
    "bai": (bai.is_requests, bai.read_requests),
    "bai-comparisons": (bai.is_comparisons, bai.read_comparisons),
    "json-list": (plain_list.is_json, plain_list.read_json),
}
_TEXT: dict[str, Callable[[Given], Found]] = {
    "proposals": proposals.read,
    "model-spec": model_spec.read,
    "model-spec-examples": spec_examples.read,
    "prose": prose.read,
    "list": plain_list.read,
}
_MEANS_JSON = re.compile(r'\ufeff?\s*(?:\{|\[\s*(?:["\[{\]]|\Z))')
"""A list in Markdown may open with a bracket as well: that of a link."""
OWN = "charter"
FORMATS = (*_JSON, *_TEXT, OWN)


class Imported(NamedTuple):
    """A document that was imported.

    Attributes:
        document: it holds together.
        format: what the file was taken for.
        left_out: what the document has no place for, by reason.
    """

    document: Constitution
    format: str
    left_out: dict[str, int]

    @property
    def drafts(self) -> int:
        """Clauses of which a template wrote a part."""
        return sum(DRAFT in p.tags for p in self.document.principles)


def import_file(
    path: str | Path, format_: str | None = None, *, examples: str | Path | None = None
) -> Imported:
    """Read a file as a document.

    Args:
        path: the file.
        format_: one of `FORMATS`; found out if None.
        examples: the file with the footnotes of a Model Spec.

    Raises:
        DocumentError: it cannot be read as such; with file and line.
    """
    given = open_file(path)
    more = None if examples is None else open_file(examples)
    return import_text(given, format_, examples=more)


def import_text(
    given: Given, format_: str | None = None, *, examples: Given | None = None
) -> Imported:
    """The same for a text."""
    if not given.text.strip("\ufeff \t\r\n"):
        given.fail("an empty file", 1, "a constitution")
    chosen = format_ or detect(given)
    assert chosen in FORMATS, chosen
    if chosen == OWN:
        return Imported(_own(given), OWN, {})
    found = _JSON[chosen][1](JsonText(given)) if chosen in _JSON else _TEXT[chosen](given)
    if examples is not None:
        if chosen != "model-spec":
            given.fail(f"examples beside a file of format {chosen}", 1, "a Model Spec")
        found = spec_examples.joined(found, examples)
    return Imported(assemble(found, given, chosen), chosen, found.left_out)


def detect(given: Given) -> str:
    """The format of a text.

    Raises:
        DocumentError: it is JSON, or means to be, but of no kind that is known.
    """
    if any(f in given.text for f in (FORMAT, OVERLAY_FORMAT)) and _is_own(given):
        return OWN
    if proposals.is_it(given):
        return "proposals"
    if spec_examples.is_it(given):
        return "model-spec-examples"
    if _MEANS_JSON.match(given.text):
        tree = JsonText(given).root.value
        for name, (is_it, _) in _JSON.items():
            if is_it(tree):
                return name
        given.fail("JSON of an unknown kind", 1, f"one of {', '.join(_JSON)}")
    return "model-spec" if model_spec.is_it(given) else _prose_or_list(given)


def _is_own(given: Given) -> bool:
    """Whether a line says that the file is a document of ours, in YAML, JSON or front matter."""
    names = (FORMAT, OVERLAY_FORMAT)
    for line in given.lines():
        key, _, value = line.text.strip(" \t{").partition(":")
        if key.strip("\"' ") == "format" and value.split(",")[0].strip("\"' }") in names:
            return True
    return False


def _own(given: Given) -> Constitution:
    """A document of ours; an overlay is applied to its base, which lies beside the file."""
    rules = [line.number for line in given.lines() if line.text.rstrip() == "---"]
    markdown = len(rules) > 1 and rules[0] == 1
    return documents.parse(given.text, file=given.file, markdown=markdown)


def _prose_or_list(given: Given) -> str:
    """A list has more items than other lines, or nothing but single lines."""
    lines = [line.text for line in given.lines()]
    said = [text for text in lines if text.strip() and not plain_list.HEADING.fullmatch(text)]
    items = sum(plain_list.BULLET.fullmatch(text) is not None for text in said)
    if items * 2 > len(said):
        return "list"
    try:
        headed = len(sections(given)) > 1
    except DocumentError:
        return "prose"
    wrapped = any(a.strip() and b.strip() for a, b in pairwise(lines))
    blocks = "" in (text.strip() for text in lines[1:-1]) and wrapped
    return "prose" if headed or blocks else "list"
