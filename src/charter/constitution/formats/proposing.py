"""Asking a model for testable principles in a long text, with the words that each rests on.

Owns the requests, the reading of answers, and the check of citations: a proposal whose quote does
not stand in the section is left out and counted, since nobody could review it. What is left waits
in a review file for a person (`proposals`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import NamedTuple

from charter.constitution.clauses import Constitution
from charter.constitution.formats.given import Given, shortened, slug
from charter.constitution.formats.proposals import FORMAT, Proposal, Review
from charter.constitution.reading import forbidden, tidy_line
from charter.errors import DocumentError
from charter.records import Completion, Message, Model, Request, Sampling
from charter.seeds import derive

LONGEST_PART = 4000
"""Characters of a section that go into one request; a longer one is cut between paragraphs."""
FEWEST_WORDS = 3
_PAIR = re.compile(
    r"^[\W\d]*PRINCIPLE\W*:\**\s*(?P<text>\S.*?)\s*\n+[\W\d]*QUOTE\W*:\**\s*(?P<quote>\S.*?)\s*$",
    re.MULTILINE,
)
_SAMPLING = Sampling(max_tokens=600, temperature=0.0)


class Part(NamedTuple):
    """A piece of a section: its title, its offset in the text, its words."""

    title: str
    start: int
    text: str


def propose(
    document: Constitution,
    given: Given,
    model: Model,
    *,
    seed: int = 0,
    most: int = LONGEST_PART,
    limit: int | None = None,
) -> Review:
    """Ask for principles, part by part.

    Args:
        document: what was imported from the text; its clauses say where the sections are.
        given: the text.
        model: anything that gives text back.
        seed: of the requests, beside the text and the part.
        most: characters of a request's part.
        limit: ask about the first parts only.

    Raises:
        DocumentError: no clause of the document has a place in the text.
    """
    asked = parts(document, given, most)[:limit]
    instruction = _instruction()
    requests = [
        Request(
            (Message("user", f"{instruction}\n\nSection: {part.title}\n\n{part.text}"),),
            _SAMPLING,
            derive("propose", seed, given.digest, part.start),
        )
        for part in asked
    ]
    left_out: Counter[str] = Counter()
    found: dict[str, Proposal] = {}
    for part, completion in zip(asked, model.generate(requests), strict=True):
        for outcome in _read(part, completion):
            if isinstance(outcome, str):
                left_out[outcome] += 1
            elif outcome.text.lower() in found:
                left_out["proposed before"] += 1
            else:
                found[outcome.text.lower()] = outcome
    return Review(
        FORMAT,
        given.name,
        given.digest,
        model.identity,
        len(asked),
        dict(sorted(left_out.items())),
        tuple(_numbered(list(found.values()))),
    )


def parts(document: Constitution, given: Given, most: int = LONGEST_PART) -> list[Part]:
    """The sections of a text, cut between paragraphs where they are long.

    Raises:
        DocumentError: no clause has a place in the text.
    """
    placed = [(p.title, p.span) for p in document.principles if p.span is not None]
    if not placed:
        raise DocumentError(
            "no clause has a place in the text", file=given.file, line=1, expected="prose"
        )
    return [
        Part(title, start, given.text[start:end])
        for title, span in placed
        for start, end in _cut(given.text, *span, most)
    ]


def _cut(text: str, start: int, end: int, most: int) -> Iterator[tuple[int, int]]:
    while end - start > most:
        at = text.rfind("\n\n", start + 1, start + most)
        stop = at if at > start else start + most
        yield start, stop
        start = stop
    if text[start:end].strip():
        yield start, end


def _read(part: Part, completion: Completion) -> Iterator[Proposal | str]:
    """Proposals of one answer, or the reasons why there is none."""
    if completion.finish == "error":
        yield f"no answer: {completion.failure or 'error'}"
        return
    pairs = [(match["text"], match["quote"]) for match in _PAIR.finditer(completion.text)]
    if not pairs:
        nothing = completion.text.strip().strip(".*").upper() == "NONE"
        yield "no rule in the section" if nothing else "answer not in the form asked for"
    for text, quote in pairs:
        yield _checked(part, tidy_line(text), quote.strip("\"“”'‘’* "))


def _checked(part: Part, text: str, quote: str) -> Proposal | str:
    words = quote.split()
    if len(words) < FEWEST_WORDS:
        return "quote too short"
    if forbidden(text):
        return "unprintable text"
    match = re.search(r"\s+".join(map(re.escape, words)), part.text)
    if match is None:
        return "quote is not in the section"
    span = (part.start + match.start(), part.start + match.end())
    return Proposal("", shortened(text), text, part.title, tidy_line(match[0]), span)


def _numbered(proposals: Sequence[Proposal]) -> Iterator[Proposal]:
    """Ids from the section and a count, which stay when a text is changed in review."""
    counts: Counter[str] = Counter()
    for proposal in proposals:
        base = slug(proposal.section) or "section"
        counts[base] += 1
        yield Proposal(
            f"{base}-{counts[base]}",
            proposal.title,
            proposal.text,
            proposal.section,
            proposal.quote,
            proposal.span,
        )


def _instruction() -> str:
    file = resources.files("charter.constitution.formats") / "propose.txt"
    return file.read_text(encoding="utf-8").strip()
