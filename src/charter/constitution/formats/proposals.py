"""The review file: principles that a model proposed, each with the words it rests on.

    format: charter/proposals/1
    source: the text's file name, source_digest, model, left_out
    proposals:
      - {id, title, text, section, quote, span, accepted: false}

A person reads it, changes what needs changing, and writes `accepted: true` at those to take over.
Nothing else of it enters a document. Knows no model: `proposing` asks one.
"""

from __future__ import annotations

import io
from functools import partial
from typing import Any

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from charter import yaml_tree
from charter.constitution.formats.given import Clause, Found, Given
from charter.constitution.reading import Place, Tidy, typed
from charter.errors import DocumentError
from charter.records import Record

FORMAT = "charter/proposals/1"
_HEAD = """\
# Proposals for a person to review. Each rests on quoted words, which stand in the text at `span`.
# Change what needs changing, write `accepted: true` at those to keep, then
#     charter constitution import THIS-FILE --out DOC.yaml
"""


class Proposal(Record, frozen=True):
    """One proposed principle.

    Attributes:
        section: title of the part of the text that it comes from.
        quote: the words it rests on, as they stand in the text.
        span: their start and end there, in characters.
        accepted: whether a person takes it over; never set by us.
    """

    id: str
    title: str
    text: str
    section: str
    quote: str
    span: tuple[int, int]
    accepted: bool = False


class Review(Record, frozen=True):
    """A review file.

    Attributes:
        source: name of the text's file.
        source_digest: digest of the text that the spans point into.
        model: identity of the model that proposed.
        asked: requests made.
        left_out: proposals and answers that could not be used, by reason.
    """

    format: str
    source: str
    source_digest: str
    model: str
    asked: int
    left_out: dict[str, int]
    proposals: tuple[Proposal, ...]


def is_it(given: Given) -> bool:
    """Whether a text says that it is a review file."""
    return any(line.text.startswith(f"format: {FORMAT}") for line in given.lines()) or any(
        line.text.startswith(f'format: "{FORMAT}"') for line in given.lines()
    )


def as_yaml(review: Review) -> str:
    """The file to hand to a person."""
    stream = io.StringIO()
    writer = YAML()
    writer.width = 100
    writer.indent(mapping=2, sequence=4, offset=2)
    writer.dump(_quoted(msgspec.json.decode(msgspec.json.encode(review))), stream)
    return _HEAD + stream.getvalue()


def parse(given: Given) -> tuple[Review, list[int]]:
    """A review file, and the line of each proposal.

    Raises:
        DocumentError: a field is missing, unknown or of the wrong type; with the line.
    """
    raw = yaml_tree.parse(given.text, file=given.file, kind=DocumentError)
    place = Place(given.file, partial(yaml_tree.line_of, raw))
    review = typed(Tidy(place)(raw), Review, place)
    if review.format != FORMAT:
        place.fail(f"format {review.format!r}", FORMAT, ("format",))
    return review, [place.line(("proposals", i)) for i in range(len(review.proposals))]


def read(given: Given) -> Found:
    """The accepted proposals as clauses.

    Raises:
        DocumentError: the file is damaged, or nothing in it is accepted.
    """
    review, lines = parse(given)
    clauses = [
        Clause(line, _fields(proposal, review))
        for proposal, line in zip(review.proposals, lines, strict=True)
        if proposal.accepted
    ]
    if not clauses:
        given.fail("no proposal is accepted", 1, "`accepted: true` at those to take over")
    waiting = len(lines) - len(clauses)
    return Found(clauses, {}, {"proposals not accepted": waiting} if waiting else {})


def _fields(proposal: Proposal, review: Review) -> dict[str, Any]:
    cited = f"{review.source} ({review.source_digest}), “{proposal.section}”"
    return {
        "id": proposal.id,
        "title": proposal.title,
        "text": proposal.text,
        "rationale": f"“{proposal.quote}”\nProposed by {review.model}, accepted by a person.",
        "source": cited,
        "span": list(proposal.span),
    }


def _quoted(node: Any) -> Any:
    """Every text in quotes, so that none is read as something else."""
    if isinstance(node, dict):
        return {key: _quoted(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_quoted(value) for value in node]
    return DoubleQuotedScalarString(node) if isinstance(node, str) else node
