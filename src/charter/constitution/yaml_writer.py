"""Writing records as YAML: fields that hold their default are left out, long texts are blocks.

Owns how a fresh text looks; keeping a text that somebody wrote is `editing`'s business.
"""

from __future__ import annotations

import io
import re
from typing import Any

import msgspec
from msgspec.structs import fields
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from charter.constitution.clauses import Constitution, Principle

WIDE = 1 << 20
"""No line is wrapped: a diff of two versions should show sentences."""
_PLAIN = re.compile(r"\w(?:[^:#\\]|:(?! ))*", re.ASCII)
"""Texts that may go without quotes; others would mostly be right as well."""


def to_yaml(document: Constitution) -> str:
    """A document as YAML, without the fields that are empty; `document.parse` reads it back."""
    stream = io.StringIO()
    writer = YAML()
    writer.width = WIDE
    writer.indent(mapping=2, sequence=4, offset=2)
    writer.dump(stated(document), stream)
    return stream.getvalue()


def item(principle: Principle, dash: int) -> list[str]:
    """A principle as one item of a list whose dashes stand in that column."""
    stream = io.StringIO()
    writer = YAML()
    writer.width = WIDE
    writer.indent(mapping=2, sequence=4, offset=2)
    writer.dump(stated(principle), stream)
    first, *rest = stream.getvalue().rstrip("\n").split("\n")
    margin = " " * dash
    return [f"{margin}- {first}", *(f"{margin}  {line}" if line else "" for line in rest)]


def stated(value: Any) -> Any:
    """A record as a YAML tree without fields that hold their default; long texts as blocks."""
    if isinstance(value, msgspec.Struct):
        pairs = ((f, getattr(value, f.name)) for f in fields(value))
        return CommentedMap((f.name, stated(v)) for f, v in pairs if not _is_default(f, v))
    if isinstance(value, dict):
        return CommentedMap((_scalar(key), stated(inner)) for key, inner in value.items())
    if isinstance(value, list | tuple):
        items = CommentedSeq(stated(item) for item in value)
        if all(
            isinstance(item, int) or (isinstance(item, str) and len(item) < 30) for item in value
        ):
            items.fa.set_flow_style()
        return items
    return _scalar(value) if isinstance(value, str) else value


def _scalar(text: str) -> Any:
    """A text in the style in which YAML reads it back: the plain one fails on a leading colon."""
    if "\n" in text:
        return LiteralScalarString(text)
    return text if _PLAIN.fullmatch(text) else DoubleQuotedScalarString(text)


def _is_default(field: Any, value: Any) -> bool:
    return bool(field.default == value) or value in ((), {}, None)
