"""The JSON Schema of documents and overlays, for editors; made from the records.

Editors find it with a first line such as `# yaml-language-server: $schema=schema.json`.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

import msgspec

from charter.constitution.clauses import Constitution
from charter.constitution.overlay import OVERLAY_FORMAT, Overlay

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """The schema, for a document or an overlay as its `format` says."""
    refs, defs = msgspec.json.schema_components(
        [Constitution, Overlay], ref_template="#/$defs/{name}"
    )
    document, overlay = refs
    return {
        "$schema": _DRAFT,
        "title": "charter constitution or overlay",
        "type": "object",
        "required": ["format"],
        "if": {"properties": {"format": {"const": OVERLAY_FORMAT}}, "required": ["format"]},
        "then": overlay,
        "else": document,
        "$defs": defs,
    }


def text() -> str:
    """The schema as the file that ships holds it."""
    encoded = msgspec.json.encode(schema(), order="sorted")
    return msgspec.json.format(encoded, indent=2).decode() + "\n"


def shipped() -> str:
    """The file that ships: `library/schema.json`."""
    file = resources.files("charter.constitution") / "library" / "schema.json"
    return file.read_text(encoding="utf-8")
