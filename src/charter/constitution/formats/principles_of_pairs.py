"""The principles in annotated pairs of Inverse Constitutional AI: annotators of type `principle`.

    {"metadata": {"default_annotator": ID}, "annotators": {ID: {"description", "type"}},
     "comparisons": [{"annotations": {ID: {"pref": "a" | "b" | null}}}]}

How often a principle agrees with the default annotator becomes the clause's rationale, since that
is the reason why it is there. The pairs themselves are read by `charter.formats`, not here.
"""

from __future__ import annotations

from typing import Any

from charter.constitution.formats.given import Clause, Found, slug
from charter.constitution.formats.json_text import JsonText, Node
from charter.statistics import wilson

_SAME = {"text_a": "a", "text_b": "b"}


def is_it(tree: Any) -> bool:
    """Whether a JSON tree is such a file."""
    return isinstance(tree, dict) and "annotators" in tree


def read(source: JsonText) -> Found:
    """One clause for each principle; other annotators are counted as left out."""
    annotators = source.root.child("annotators").fields()
    default = _default(source.root)
    votes = _votes(source.root)
    clauses, others = [], 0
    for id, annotator in annotators.items():
        fields = annotator.fields()
        if "type" not in fields or fields["type"].value != "principle":
            others += 1
            continue
        text = annotator.child("description").text()
        if not text.strip():
            fields["description"].fail("empty", "the principle")
        found = {"text": text, "source": f"annotator {id}", "id": _id(id)}
        found["rationale"] = _agreement(votes, id, default)
        clauses.append(Clause(annotator.line, found))
    return Found(clauses, {}, {"annotators that are no principle": others} if others else {})


def _default(root: Node) -> str:
    metadata = root.fields().get("metadata")
    node = metadata.fields().get("default_annotator") if metadata else None
    return node.text() if node and node.value is not None else ""


def _votes(root: Node) -> list[dict[str, Any]]:
    """Preferences by annotator, pair by pair."""
    found = []
    for pair in root.child("comparisons").items():
        annotations = pair.fields().get("annotations")
        held = annotations.fields() if annotations else {}
        found.append({id: _preference(one) for id, one in held.items()})
    return found


def _preference(annotation: Node) -> str | None:
    pref = annotation.child("pref")
    if pref.value is None:
        return None
    said = _SAME.get(pref.text(), pref.text())
    if said not in ("a", "b"):
        pref.fail(f"pref {said!r}", '"a", "b" or null')
    return said


def _agreement(votes: list[dict[str, Any]], id: str, default: str) -> str:
    if not default:
        return ""
    both = [(v[id], v[default]) for v in votes if v.get(id) and v.get(default)]
    same = sum(mine == theirs for mine, theirs in both)
    if not both:
        return f"None of {len(votes)} pairs has a preference of both it and {default}."
    rate = wilson(same, len(both))
    return (
        f"Agrees with {default} on {same} of {len(both)} pairs ({100 * rate.value:.1f} %, 95 % "
        f"interval {100 * rate.low:.1f} to {100 * rate.high:.1f}); {len(votes) - len(both)} pairs "
        "have no preference of the one or the other."
    )


def _id(id: str) -> str:
    """Most ids there are hex digests, which say nothing: but records may cite them."""
    return slug(id)
