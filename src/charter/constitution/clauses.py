"""The records that a constitution is made of, and the digests by which others cite them.

Owns the shape of a document: its fields, what each is for (the descriptions reach editors through
the JSON Schema), and what counts as content. Reading and checking are `document`'s business.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from charter.errors import DocumentError
from charter.records import Record

FORMAT = "charter/constitution/1"
ID_PATTERN = "[a-z0-9][a-z0-9_-]*"

# Pattern and length stand in the published schema only: `checks` says them in plainer words.
Id = Annotated[str, Meta(extra_json_schema={"pattern": f"^{ID_PATTERN}$"})]
Text = Annotated[str, Meta(extra_json_schema={"minLength": 1})]
Ids = tuple[Id, ...]


class Example(Record, frozen=True):
    """A request with answers that keep and break the clause."""

    prompt: Annotated[Text, Meta(description="What the user says.")]
    good: Annotated[str, Meta(description="An answer that keeps the clause.")] = ""
    bad: Annotated[str, Meta(description="An answer that breaks it.")] = ""
    comment: Annotated[str, Meta(description="Why.")] = ""


class Principle(Record, frozen=True):
    """One clause, in the three phrasings that Constitutional AI uses (Bai et al. 2022, App. C)."""

    id: Annotated[Id, Meta(description="Records cite it. Never use one again for another clause.")]
    title: Annotated[Text, Meta(description="A few words, for people.")]
    text: Annotated[Text, Meta(description="The clause, for people.")]
    critique_request: Annotated[Text, Meta(description="Asks the critic what is wrong.")]
    revision_request: Annotated[Text, Meta(description="Asks the critic to rewrite.")]
    comparison_question: Annotated[Text, Meta(description="Asks the judge for the better answer.")]
    weight: Annotated[
        float, Meta(description="How often it is drawn.", extra_json_schema={"exclusiveMinimum": 0})
    ] = 1.0
    tags: Annotated[tuple[str, ...], Meta(description="Which prompts it is used for.")] = ()
    over: Annotated[Ids, Meta(description="Clauses it has priority over.")] = ()
    level: Annotated[str, Meta(description="One of the document's `levels`.")] = ""
    exceptions: Annotated[tuple[str, ...], Meta(description="Where it does not hold.")] = ()
    rationale: Annotated[str, Meta(description="Why the clause is there.")] = ""
    source: Annotated[str, Meta(description="Where it comes from: a text, a vote, a person.")] = ""
    examples: Annotated[
        tuple[Example, ...], Meta(description="Answers that keep or break it.")
    ] = ()
    span: Annotated[
        tuple[int, int] | None,
        Meta(description="Start and end in the source text, counted in characters, end excluded."),
    ] = None

    @property
    def digest(self) -> str:
        """Digest of what a critic or a judge can be asked with: the text, its forms, exceptions.

        The id, weight, tags, priorities and notes for people are left out. A vote does not depend
        on them, so an edit there, or in another clause, leaves a label valid.
        """
        forms = (self.critique_request, self.revision_request, self.comparison_question)
        return _digest([self.text, *forms, self.exceptions])


class Category(Record, frozen=True):
    """A class of content that a guard stops (harmful) or lets pass (harmless)."""

    id: Annotated[Id, Meta(description="A prompt's category is matched with it.")]
    title: str
    text: str
    principles: Annotated[Ids, Meta(description="Clauses that speak of this class.")] = ()


class Categories(Record, frozen=True):
    """Both halves; dropping the harmless one costs robustness (arXiv 2501.18837)."""

    harmful: tuple[Category, ...] = ()
    harmless: tuple[Category, ...] = ()


ChangeKind = Literal["note", "include", "add", "exempt", "strengthen", "prefer", "replace", "drop"]


class Change(Record, frozen=True):
    """One entry of the changelog. Overlays write theirs by themselves: nothing goes unsaid."""

    version: Annotated[Text, Meta(description="The version that brought it.")]
    note: Annotated[Text, Meta(description="What changed, and why.")]
    kind: ChangeKind = "note"
    principles: Annotated[tuple[str, ...], Meta(description="Clauses it is about.")] = ()
    date: str = ""


class Reference(Record, frozen=True):
    """A document that this one was made from."""

    name: str
    version: str
    digest: str
    principles: Annotated[tuple[str, ...], Meta(description="Clauses that came from it.")] = ()


class Constitution(Record, frozen=True):
    """A whole document. Order of principles is part of it; formatting is not."""

    format: Annotated[str, Meta(extra_json_schema={"const": FORMAT})]
    name: Text
    version: Annotated[Text, Meta(description="In quotes, or YAML reads 1.0 as a number.")]
    principles: Annotated[tuple[Principle, ...], Meta(extra_json_schema={"minItems": 1})]
    title: str = ""
    description: str = ""
    categories: Categories = Categories()
    levels: Annotated[
        tuple[str, ...],
        Meta(description="Levels of authority, highest first; each goes before all below it."),
    ] = ()
    terms: Annotated[dict[str, str], Meta(description="Words and what they mean here.")] = {}
    changelog: Annotated[tuple[Change, ...], Meta(description="Oldest first.")] = ()
    made_from: Annotated[
        tuple[Reference, ...], Meta(description="Filled in where an overlay was applied.")
    ] = ()

    @property
    def digest(self) -> str:
        """Digest of the content: comments, line breaks, quoting and key order do not change it.

        An empty field counts as absent, so a later format can gain fields without changing the
        digests that old records cite.
        """
        plain = msgspec.to_builtins(self)
        return _digest({**plain, "terms": dict(sorted(self.terms.items()))})

    def principle(self, id: str) -> Principle:
        """The principle of that id.

        Raises:
            DocumentError: there is none.
        """
        for principle in self.principles:
            if principle.id == id:
                return principle
        raise DocumentError(
            f"no principle {id!r} in constitution {self.name!r}",
            expected=", ".join(p.id for p in self.principles),
        )


def content(node: Any) -> Any:
    """Plain data as a digest sees it: white space folded, empty fields of mappings left out."""
    if isinstance(node, dict):
        plain = {key: content(value) for key, value in node.items()}
        return {key: value for key, value in plain.items() if value not in ("", [], {}, None)}
    if isinstance(node, list | tuple):
        return [content(value) for value in node]
    return " ".join(node.split()) if isinstance(node, str) else node


def _digest(value: Any) -> str:
    """Of content in the order of the records' fields, as runs have cited it from the first."""
    return hashlib.sha256(msgspec.json.encode(content(value))).hexdigest()[:16]
