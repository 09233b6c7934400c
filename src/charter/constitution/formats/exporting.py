"""Exporting a constitution, and knowing what a format cannot hold.

Forms that are read back (JSON, YAML, Markdown, and the files of other projects) are checked by
doing so: what comes back different is lost. Pages and prompts are for reading and have no way back.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from charter.constitution.clauses import Constitution, Principle
from charter.constitution.editing import to_yaml
from charter.constitution.formats import bai, html_page, llm_swarm, system_prompt
from charter.constitution.formats.given import Given
from charter.constitution.formats.importing import import_text
from charter.constitution.markdown import to_markdown
from charter.errors import DocumentError

# Legal in JSON; a reader of YAML, of which JSON is a part, takes them for line breaks or refuses.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_MOST_NAMED = 5


def to_json(document: Constitution) -> str:
    """The document as JSON, with all of its fields; `document.parse` reads it back."""
    text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"


_FULL: dict[str, Callable[[Constitution], str]] = {
    "markdown": to_markdown,
    "yaml": to_yaml,
    "json": to_json,
}
_READ_BACK: dict[str, Callable[[Constitution], str]] = {
    "llm-swarm": llm_swarm.write,
    "bai": bai.write_requests,
    "bai-comparisons": bai.write_comparisons,
}
_READ_ONLY: dict[str, Callable[[Constitution], str]] = {
    "html": html_page.write,
    "system-prompt": system_prompt.write,
}
TARGETS = (*_FULL, *_READ_ONLY, *_READ_BACK)
_ABOUT_THE_FILE = ("name", "version", "changelog", "made_from")


class Exported(NamedTuple):
    """A text, and the fields that it does not hold, such as `principles.kind.weight`."""

    text: str
    lost: tuple[str, ...]


def export(document: Constitution, target: str, *, lossy: bool = False) -> Exported:
    """Write a document in a format.

    Args:
        document: what to write.
        target: one of `TARGETS`.
        lossy: write it also in a format that cannot hold all of it.

    Raises:
        DocumentError: the format cannot hold all of it, and `lossy` is not set.
    """
    writer = {**_FULL, **_READ_ONLY, **_READ_BACK}[target]
    text = writer(document)
    lost = _lost(document, text, target) if target in _READ_BACK else ()
    if lost and not lossy:
        more = f" and {len(lost) - _MOST_NAMED} more" if len(lost) > _MOST_NAMED else ""
        raise DocumentError(
            f"{target} cannot hold {', '.join(lost[:_MOST_NAMED])}{more} of {document.name!r}",
            expected="--lossy to leave that out, or --to json",
        )
    return Exported(text, lost)


def _lost(document: Constitution, text: str, target: str) -> tuple[str, ...]:
    """Fields that differ once the text is read back. What tells of the file itself is no loss."""
    file = document.made_from[0].name if document.made_from else document.name
    again = import_text(Given(file, text), target).document
    heads = [
        field
        for field in document.__struct_fields__
        if field not in ("principles", *_ABOUT_THE_FILE)
        and getattr(document, field) != getattr(again, field)
    ]
    pairs = zip(document.principles, again.principles, strict=True)
    return (*heads, *(name for a, b in pairs for name in _differing(a, b)))


def _differing(a: Principle, b: Principle) -> list[str]:
    differing = [f for f in a.__struct_fields__ if getattr(a, f) != getattr(b, f)]
    return [f"principles.{a.id}.{field}" for field in differing]
