"""The constitution files of `constitutional_evals`: one value system a file, with its criteria.

    {"schema_version": "1.1", "id", "title", "version", "summary", "criteria": [text, …],
     "valence"?, "overview"?, "license"?, "provenance"?, "changelog"?: [{version, date, notes}], …}

Some files are misaligned on purpose, as a negative axis. Their clauses get the tag `misaligned`:
whoever trains on such a document trains a model to be bad.
"""

from __future__ import annotations

import json
from typing import Any

from charter.constitution.formats.given import Clause, Found, slug
from charter.constitution.formats.json_text import JsonText, Node

_OWN = {"id", "title", "version", "criteria", "summary", "overview", "changelog"}


def is_it(tree: Any) -> bool:
    """Whether a JSON tree is such a file."""
    return isinstance(tree, dict) and "criteria" in tree


def read(source: JsonText) -> Found:
    """Each criterion as a clause; what else the file says goes into the description."""
    root = source.root
    fields = root.fields()
    name = slug(root.child("id").text())
    valence = fields["valence"].value if "valence" in fields else "aligned"
    tags = ["misaligned"] if valence == "misaligned" else []
    clauses = []
    for number, node in enumerate(root.child("criteria").items(), start=1):
        text = node.text()
        if not text.strip():
            node.fail("empty", "some text")
        id = f"{name or 'criterion'}-{number}"
        cited = f"constitutional_evals {name}, criterion {number}"
        clauses.append(Clause(node.line, {"id": id, "text": text, "tags": tags, "source": cited}))
    head = {
        "name": name,
        "title": _text(fields, "title"),
        "version": _text(fields, "version"),
        "description": "\n\n".join(_described(fields)),
        "changelog": [_change(entry) for entry in _changes(fields)],
    }
    return Found(clauses, head, {})


def _described(fields: dict[str, Node]) -> list[str]:
    texts = [_text(fields, "summary"), _text(fields, "overview")]
    others = [f"{key}: {_plain(node.value)}" for key, node in fields.items() if key not in _OWN]
    return [part for part in (*texts, "\n".join(others)) if part]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _text(fields: dict[str, Node], key: str) -> str:
    return fields[key].text() if key in fields else ""


def _changes(fields: dict[str, Node]) -> list[Node]:
    return fields["changelog"].items() if "changelog" in fields else []


def _change(entry: Node) -> dict[str, str]:
    entry.only("version", "date", "notes")
    found = {"version": entry.child("version").text(), "note": entry.child("notes").text()}
    date = entry.fields().get("date")
    return {**found, "date": date.text()} if date else found
