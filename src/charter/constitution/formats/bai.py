"""The prompt files of Bai et al. 2022: critique and revision requests, and comparison instructions.

    {"harmful0": {"prompt": ["\\n\\nCritiqueRequest: …\\n\\nCritique:"],
                  "edit_request": "\\n\\nRevisionRequest: …\\n\\nRevision:"}, …}
    ["\\nWhich of these … Options:", …]

As in the folder `prompts` of the paper's repository (anthropics/ConstitutionalHarmlessnessPaper).
The labels around a request are that file's own and come back on export.
"""

from __future__ import annotations

import json
import re
from typing import Any

from charter.constitution.clauses import ID_PATTERN, Constitution
from charter.constitution.formats.given import Clause, Found, slug
from charter.constitution.formats.json_text import JsonText, Node

_CRITIQUE = ("CritiqueRequest:", "Critique:")
_REVISION = ("RevisionRequest:", "Revision:")
_OPTIONS = "Options:"


def is_requests(tree: Any) -> bool:
    """Whether a JSON tree is a file of critique and revision requests."""
    return isinstance(tree, dict) and any(
        isinstance(value, dict) and "edit_request" in value for value in tree.values()
    )


def is_comparisons(tree: Any) -> bool:
    """Whether a JSON tree is a list of comparison instructions."""
    return isinstance(tree, list) and any(
        isinstance(item, str) and item.rstrip().endswith(_OPTIONS) for item in tree
    )


def read_requests(source: JsonText) -> Found:
    """Critique and revision requests; several critique requests of an entry are several clauses."""
    clauses = []
    for key, entry in source.root.fields().items():
        parts = entry.only("prompt", "edit_request")
        revision = _inside(entry.child("edit_request").text(), *_REVISION)
        critiques = _texts(entry.child("prompt"))
        for number, node in enumerate(critiques, start=1):
            fields = {
                "id": _id(key, number),
                "critique_request": _inside(node.text(), *_CRITIQUE),
                "revision_request": revision,
                "source": "Bai et al. 2022 (arXiv 2212.08073)",
            }
            _require(node, fields["critique_request"])
            _require(parts["edit_request"], revision)
            clauses.append(Clause(node.line, fields))
    return Found(clauses, {}, {})


def read_comparisons(source: JsonText) -> Found:
    """Comparison instructions, in order."""
    clauses = []
    for number, node in enumerate(source.root.items()):
        asked = node.text().strip().removesuffix(_OPTIONS).strip()
        _require(node, asked)
        fields = {
            "id": f"comparison{number}",
            "comparison_question": asked,
            "source": "Bai et al. 2022 (arXiv 2212.08073)",
        }
        clauses.append(Clause(node.line, fields))
    return Found(clauses, {}, {})


def write_requests(document: Constitution) -> str:
    """The first file; ids become its keys."""
    entries = {
        p.id: {
            "prompt": [f"\n\n{_CRITIQUE[0]} {p.critique_request}\n\n{_CRITIQUE[1]}"],
            "edit_request": f"\n\n{_REVISION[0]} {p.revision_request}\n\n{_REVISION[1]}",
        }
        for p in document.principles
    }
    return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"


def write_comparisons(document: Constitution) -> str:
    """The second file."""
    asked = [f"\n{p.comparison_question} {_OPTIONS}" for p in document.principles]
    return json.dumps(asked, indent=2, ensure_ascii=False) + "\n"


def _texts(node: Node) -> list[Node]:
    found = [node] if isinstance(node.value, str) else node.items()
    if not found:
        node.fail("no request", "one text or more")
    return found


def _inside(text: str, opening: str, closing: str) -> str:
    """A request without the labels around it, if they are there."""
    return text.strip().removeprefix(opening).removesuffix(closing).strip()


def _require(node: Node, text: str) -> None:
    if not text:
        node.fail("empty", "some text")


def _id(key: str, number: int) -> str:
    name = key if re.fullmatch(ID_PATTERN, key) else slug(key)
    return f"{name}-{number}" if name and number > 1 else name
