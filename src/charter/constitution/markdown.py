"""The Markdown form: a document that reads like a page and holds all that the YAML form holds.

    ---                                  format, name, version, levels
    ---
    # Title                              then the description
    ## Principles
    ### Be kind {#kind}                  then the text
    - **Critique request:** Say where …  fields; lines that go on are indented by two spaces
    ## Harmful categories, ## Harmless categories, ## Terms, ## Changelog

A line of text that would look like a heading or a field has a backslash in front.
"""

from __future__ import annotations

import io
import re

import msgspec
from ruamel.yaml import YAML

from charter.constitution import document as documents
from charter.constitution.clauses import Category, Change, Constitution, Example, Principle
from charter.constitution.markdown_reader import EXAMPLE, HEAD

_MARKED = re.compile(r"\\|#|- \*\*|---")


def to_markdown(document: Constitution) -> str:
    """The whole document as Markdown; `from_markdown` reads it back."""
    halves = document.categories
    sections = [
        ("Principles", [_principle(p) for p in document.principles]),
        ("Harmful categories", [_category(c) for c in halves.harmful]),
        ("Harmless categories", [_category(c) for c in halves.harmless]),
        ("Terms", [[f"### {term}", *_body(text)] for term, text in document.terms.items()]),
        ("Changelog", [_change(change) for change in document.changelog]),
    ]
    lines = ["---", *_front(document), "---", ""]
    lines += [f"# {document.title}", ""] if document.title else []
    lines += _body(document.description)
    for name, blocks in sections:
        if blocks:
            lines += [f"## {name}", "", *(line for block in blocks for line in (*block, ""))]
    return re.sub(r"\n+\Z", "\n", "\n".join(lines))


def from_markdown(text: str, *, file: str = "<constitution>.md") -> Constitution:
    """Read the Markdown form.

    Raises:
        DocumentError: with file and line, where it does not hold together.
    """
    return documents.parse(text, file=file, markdown=True)


def _front(document: Constitution) -> list[str]:
    plain = msgspec.to_builtins(document)
    chosen = {key: plain[key] for key in HEAD if plain[key]}
    stream = io.StringIO()
    writer = YAML()
    writer.default_flow_style = False
    writer.width = 1000
    writer.dump(msgspec.json.decode(msgspec.json.encode(chosen)), stream)
    return stream.getvalue().rstrip("\n").split("\n")


def _principle(p: Principle) -> list[str]:
    plain = [
        ("Critique request", p.critique_request),
        ("Revision request", p.revision_request),
        ("Comparison question", p.comparison_question),
        ("Weight", "" if p.weight == 1.0 else repr(p.weight)),
        ("Tags", join_list(p.tags)),
        ("Level", p.level),
        ("Priority over", join_list(p.over)),
        *(("Exception", text) for text in p.exceptions),
        ("Rationale", p.rationale),
        ("Source", p.source),
        ("Span", "" if p.span is None else f"{p.span[0]}-{p.span[1]}"),
    ]
    examples = [line for example in p.examples for line in _example(example)]
    return [f"### {p.title} {{#{p.id}}}", *_body(p.text), *_fields(plain), *examples]


def _example(example: Example) -> list[str]:
    return _fields([(label, getattr(example, key)) for label, key in EXAMPLE.items()])


def _category(c: Category) -> list[str]:
    fields = _fields([("Principles", join_list(c.principles))])
    return [f"### {c.title} {{#{c.id}}}", *_body(c.text), *fields]


def _change(change: Change) -> list[str]:
    kind = "" if change.kind == "note" else change.kind
    about = join_list(change.principles)
    fields = _fields([("Kind", kind), ("Principles", about), ("Date", change.date)])
    return [f"### {change.version}", *_body(change.note), *fields]


def _body(text: str) -> list[str]:
    lines = text.split("\n") if text else []
    return ["", *(f"\\{line}" if _MARKED.match(line) else line for line in lines), ""]


def _fields(pairs: list[tuple[str, str]]) -> list[str]:
    """One item a field that is not empty."""
    lines = []
    for label, value in pairs:
        if value:
            first, *rest = value.split("\n")
            lines += [f"- **{label}:** {first}", *(f"  {line}" if line else "" for line in rest)]
    return lines


def join_list(items: tuple[str, ...]) -> str:
    """Items with commas between; a comma or backslash inside one gets a backslash."""
    return ", ".join(re.sub(r"([\\,])", r"\\\1", item) for item in items)
